// Q4_0 for dots with int8 activations, see int8_avx512.inl.h.
#pragma once

#include "kernels/base/int8_nibbles.inl.h"

namespace ponder::kernels {
namespace {

struct BytesQ40 {
  static constexpr std::size_t kElements = 32, kBytes = 18;
  static constexpr int kGroup = 32, kZero = 8, kLow = -8, kHigh = 7;
  static constexpr bool kHasMinimum = false;
  static void unpack(const unsigned char* blocks, UnitWeights& w) {
    PONDER_UNROLL
    for (int v = 0; v < 4; ++v) w.q[v] = nibbles_of_two(blocks + 36 * v + 2, blocks + 36 * v + 20);
    unpack_scales(blocks, w);
  }
  static constexpr int kNibbleRun = 16;
  static __m512i nibbles_at(const unsigned char* blocks, int c) { return nibbles_of_four<18>(blocks + 72 * c + 2); }
  static __m512i of_codes(__m512i codes) { return codes; }
  static void unpack_scales(const unsigned char* blocks, UnitWeights& w) {
    w.scale = scales_of_18(blocks);
    w.minimum = zero();
  }
};

}  // namespace
}  // namespace ponder::kernels
