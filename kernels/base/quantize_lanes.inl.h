// Eight floats for the search of the quantisers, in the vector types of GCC and Clang: one source for every ISA, and, as
// nothing is contracted and sums have one order, the same bits.
#pragma once

#include <cstddef>
#include <cstring>

#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wpsabi"  // nothing here is called from another file
#endif

namespace ponder::kernels {
namespace {

using Lanes = float __attribute__((vector_size(32)));
constexpr std::size_t kLanes = 8;

[[maybe_unused]] inline Lanes lanes_at(const float* p) {
  Lanes v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
[[maybe_unused]] inline Lanes lanes_of(float value) { return Lanes{} + value; }

[[maybe_unused]] inline float sum_of(const Lanes& v) {
  return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}
// NaN becomes `low`.
[[maybe_unused]] inline Lanes clamped(const Lanes& v, float low, float high) {
  const Lanes least = lanes_of(low), most = lanes_of(high);
  const Lanes above = v > least ? v : least;
  return above < most ? above : most;
}
// To the nearest integer, ties to even, of |v| < 2^22.
[[maybe_unused]] inline Lanes rounded(const Lanes& v) { return (v + 0x1.8p23f) - 0x1.8p23f; }

}  // namespace
}  // namespace ponder::kernels
