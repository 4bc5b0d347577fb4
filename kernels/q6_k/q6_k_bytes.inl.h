// Q6_K for dots with int8 activations, see int8_avx512.inl.h.
#pragma once

#include "kernels/base/int8_avx512.inl.h"

namespace ponder::kernels {
namespace {

struct BytesQ6K {
  static constexpr std::size_t kElements = 256, kBytes = 210;
  static constexpr int kGroup = 16, kZero = 32, kLow = -32, kHigh = 31;
  static constexpr bool kHasMinimum = false;
  static void unpack(const unsigned char* block, UnitWeights& w) {
    const __m512i nibble = _mm512_set1_epi8(0xf), bits = _mm512_set1_epi8(0x30);
    // The two high bits of weights 32 j + i, bits 2 j of their byte, to bits 4 and 5: left by 4 - 2 j.
    const __m512i turn0 = _mm512_set_epi64(62, 62, 62, 62, 60, 60, 60, 60), turn1 = _mm512_set_epi64(2, 2, 2, 2, 0, 0, 0, 0);
    PONDER_UNROLL
    for (int n = 0; n < 2; ++n) {
      const __m512i low = _mm512_loadu_si512(block + 64 * n), high = _mm512_broadcast_i64x4(bytes32(block + 128 + 32 * n));
      const __m512i first = _mm512_and_si512(_mm512_rorv_epi64(high, turn0), bits);
      const __m512i second = _mm512_and_si512(_mm512_rorv_epi64(high, turn1), bits);
      w.q[2 * n] = _mm512_or_si512(_mm512_and_si512(low, nibble), first);
      w.q[2 * n + 1] = _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(low, 4), nibble), second);
    }
    w.scale = mul(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes16(block + 192))), set1(half_at(block + 208)));
    w.minimum = zero();
  }
};

}  // namespace
}  // namespace ponder::kernels
