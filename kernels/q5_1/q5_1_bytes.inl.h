// Q5_1 for dots with int8 activations, see int8_avx512.inl.h.
#pragma once

#include "kernels/base/int8_nibbles.inl.h"

namespace ponder::kernels {
namespace {

struct BytesQ51 {
  static constexpr std::size_t kElements = 32, kBytes = 24;
  static constexpr int kGroup = 32, kZero = 0, kLow = 0, kHigh = 31;
  static constexpr bool kHasMinimum = true;
  static void unpack(const unsigned char* blocks, UnitWeights& w) {
    PONDER_UNROLL
    for (int v = 0; v < 4; ++v) {
      const unsigned char* two = blocks + 48 * v;
      w.q[v] = with_fifth_bits(nibbles_of_two(two + 8, two + 32), two + 4, two + 28);
    }
    w.scale = halves_of_blocks<24>(blocks, 0);
    w.minimum = sub(zero(), halves_of_blocks<24>(blocks, 2));
  }
};

}  // namespace
}  // namespace ponder::kernels
