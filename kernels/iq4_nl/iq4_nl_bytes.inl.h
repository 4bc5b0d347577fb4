// IQ4_NL for dots with int8 activations, see int8_avx512.inl.h.
#pragma once

#include "kernels/base/int8_nibbles.inl.h"

namespace ponder::kernels {
namespace {

struct BytesIq4Nl {
  static constexpr std::size_t kElements = 32, kBytes = 18;
  static constexpr int kGroup = 32, kZero = 128, kLow = -127, kHigh = 113;
  static constexpr bool kHasMinimum = false;
  static void unpack(const unsigned char* blocks, UnitWeights& w) {
    const __m512i values = iq4_values_from_zero();
    PONDER_UNROLL
    for (int v = 0; v < 4; ++v)
      w.q[v] = _mm512_shuffle_epi8(values, nibbles_of_two(blocks + 36 * v + 2, blocks + 36 * v + 20));
    unpack_scales(blocks, w);
  }
  static constexpr int kNibbleRun = 16;
  static __m512i nibbles_at(const unsigned char* blocks, int c) { return nibbles_of_four<18>(blocks + 72 * c + 2); }
  static __m512i of_codes(__m512i codes) { return _mm512_shuffle_epi8(iq4_values_from_zero(), codes); }
  static void unpack_scales(const unsigned char* blocks, UnitWeights& w) {
    w.scale = scales_of_18(blocks);
    w.minimum = zero();
  }
};

}  // namespace
}  // namespace ponder::kernels
