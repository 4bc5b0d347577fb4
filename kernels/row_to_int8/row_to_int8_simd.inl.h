// row_to_int8 for any instruction set that gives, for 32 values x:
//   unsigned largest_magnitude(const float* x);  // of their bits without signs, whose order is that of the values, NaN the largest
//   void round_32(signed char* q, int (&sums)[2], const float* x, float inverse);  // q of x * inverse, NaN to 0; sums of 16 q
#pragma once

#include <cstddef>

#include "kernels/base/int8_unit.h"

namespace ponder::kernels {
namespace {

template <class Round>
inline void row_to_int8(Int8Unit* y, std::size_t y_stride, const float* x, std::size_t n) {
  for (std::size_t u = 0; u < int8_units(n); ++u) {
    Int8Unit& unit = y[u * y_stride];
    const std::size_t begin = int8_unit_begin(u, n), own = (u * Int8Unit::kElements - begin) / 32;
    for (std::size_t i = 0; i < 8; ++i) {
      int sums[2] = {0, 0};
      float scale = 0;
      if (i < own) {  // the unit before has them
        __builtin_memset(unit.q + 32 * i, 0, 32);
      } else {
        const float* from = x + begin + 32 * i;
        const unsigned bits = Round::largest_magnitude(from);
        float most;
        __builtin_memcpy(&most, &bits, sizeof most);
        const bool finite = bits < 0x7f800000;
        scale = finite ? most * (1.0f / 127.0f) : __builtin_nanf("");
        Round::round_32(unit.q + 32 * i, sums, from, finite && bits != 0 ? 127.0f / most : 0.0f);
      }
      for (std::size_t half = 0; half < 2; ++half) {
        unit.scale[2 * i + half] = scale;
        unit.scaled_sum[2 * i + half] = scale * static_cast<float>(sums[half]);
      }
      const int sum = sums[0] + sums[1];
      unit.offset[i] = -128 * sum;
      unit.scale_32[i] = scale;
      unit.scaled_sum_32[i] = scale * static_cast<float>(sum);
    }
  }
}

}  // namespace
}  // namespace ponder::kernels
