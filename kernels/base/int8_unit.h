// Activations as int8, for dots with quantised weights (fast compute).
#pragma once

#include <cstddef>

namespace ponder::kernels {

// 256 activations of a row: x[i] = scale[i / 16] * q[i], with one scale for 32. A row of n >= 256 activations is ceil(n
// / 256) units; the last one holds the last 256 of the row, and zeros (scale 0) in place of those that the unit before
// it has.
struct alignas(64) Int8Unit {
  static constexpr std::size_t kElements = 256;
  signed char q[256];
  float scale[16];
  float scaled_sum[16];  // scale * the sum of its 16 q
  int offset[8];         // -128 * the sum of 32 q
  float scale_32[8];     // scale and scaled_sum of 32
  float scaled_sum_32[8];
};

constexpr std::size_t int8_units(std::size_t n) {
  return (n + Int8Unit::kElements - 1) / Int8Unit::kElements;
}
// The first activation of unit u of a row of n.
constexpr std::size_t int8_unit_begin(std::size_t u, std::size_t n) {
  return (u + 1) * Int8Unit::kElements <= n ? u * Int8Unit::kElements : n - Int8Unit::kElements;
}

}  // namespace ponder::kernels
