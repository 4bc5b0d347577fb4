// Blocks of 32 four-bit weights (Q4_0, IQ4_NL and their like) for int8_avx512.inl.h.
#pragma once

#include "kernels/base/int8_avx512.inl.h"

namespace ponder::kernels {
namespace {

// The low nibbles of 16 bytes, their high ones, and the same of 16 other bytes.
inline __m512i nibbles_of_two(const unsigned char* first, const unsigned char* second) {
  const __m512i shift = _mm512_set_epi64(4, 4, 0, 0, 4, 4, 0, 0);
  const __m512i bytes = join(_mm256_broadcastsi128_si256(bytes16(first)), _mm256_broadcastsi128_si256(bytes16(second)));
  return _mm512_and_si512(_mm512_srlv_epi64(bytes, shift), _mm512_set1_epi8(0xf));
}

// The f16 scales that begin eight blocks of 18 bytes, each for two groups of 16 weights.
inline Vec scales_of_18(const unsigned char* blocks) {
  const __m512i low = _mm512_loadu_si512(blocks), high = _mm512_loadu_si512(blocks + 72);
  const __m512i words = _mm512_setr_epi32(9 << 16, 27 << 16 | 18, 41 << 16 | 32, 59 << 16 | 50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  const __m512i halves = _mm512_permutex2var_epi16(low, words, high);
  return twice_each(_mm512_castps256_ps512(_mm256_cvtph_ps(_mm512_castsi512_si128(halves))));
}

}  // namespace
}  // namespace ponder::kernels
