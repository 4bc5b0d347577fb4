// Q5_0 for dots with int8 activations, see int8_avx512.inl.h.
#pragma once

#include "kernels/base/int8_nibbles.inl.h"

namespace ponder::kernels {
namespace {

struct BytesQ50 {
  static constexpr std::size_t kElements = 32, kBytes = 22;
  static constexpr int kGroup = 32, kZero = 16, kLow = -16, kHigh = 15;
  static constexpr bool kHasMinimum = false;
  static void unpack(const unsigned char* blocks, UnitWeights& w) {
    PONDER_UNROLL
    for (int v = 0; v < 4; ++v) {
      const unsigned char* two = blocks + 44 * v;
      w.q[v] = with_fifth_bits(nibbles_of_two(two + 6, two + 28), two + 2, two + 24);
    }
    w.scale = halves_of_blocks<22>(blocks, 0);
    w.minimum = zero();
  }
};

}  // namespace
}  // namespace ponder::kernels
