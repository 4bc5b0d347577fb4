// Q4_1 for dots with int8 activations, see int8_avx512.inl.h.
#pragma once

#include "kernels/base/int8_nibbles.inl.h"

namespace ponder::kernels {
namespace {

struct BytesQ41 {
  static constexpr std::size_t kElements = 32, kBytes = 20;
  static constexpr int kGroup = 32, kZero = 0, kLow = 0, kHigh = 15;
  static constexpr bool kHasMinimum = true;
  static void unpack(const unsigned char* blocks, UnitWeights& w) {
    PONDER_UNROLL
    for (int v = 0; v < 4; ++v) w.q[v] = nibbles_of_two(blocks + 40 * v + 4, blocks + 40 * v + 24);
    w.scale = halves_of_blocks<20>(blocks, 0);
    w.minimum = sub(zero(), halves_of_blocks<20>(blocks, 2));
  }
};

}  // namespace
}  // namespace ponder::kernels
