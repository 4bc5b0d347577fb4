// IQ4_XS for dots with int8 activations, see int8_avx512.inl.h.
#pragma once

#include "kernels/base/int8_nibbles.inl.h"
#include "kernels/iq4_xs/iq4_xs_simd.inl.h"

namespace ponder::kernels {
namespace {

struct BytesIq4Xs {
  static constexpr std::size_t kElements = 256, kBytes = 136;
  static constexpr int kGroup = 32, kZero = 128, kLow = -127, kHigh = 113;
  static constexpr bool kHasMinimum = false;
  static void unpack(const unsigned char* blocks, UnitWeights& w) {
    const __m512i values = iq4_values_from_zero();
    PONDER_UNROLL
    for (int v = 0; v < 4; ++v)
      w.q[v] = _mm512_shuffle_epi8(values, nibbles_of_two(blocks + 8 + 32 * v, blocks + 24 + 32 * v));
    unpack_scales(blocks, w);
  }
  static constexpr int kNibbleRun = 16;
  static __m512i nibbles_at(const unsigned char* block, int c) { return _mm512_loadu_si512(block + 8 + 64 * c); }
  static __m512i of_codes(__m512i codes) { return _mm512_shuffle_epi8(iq4_values_from_zero(), codes); }
  static void unpack_scales(const unsigned char* blocks, UnitWeights& w) {
    const __m256i scales = _mm256_cvtepu8_epi32(iq4_xs_scales(blocks));
    const __m256 factors = _mm256_cvtepi32_ps(_mm256_sub_epi32(scales, _mm256_set1_epi32(32)));
    w.scale = twice_each(_mm512_castps256_ps512(_mm256_mul_ps(factors, _mm256_set1_ps(half_at(blocks)))));
    w.minimum = zero();
  }
};

}  // namespace
}  // namespace ponder::kernels
