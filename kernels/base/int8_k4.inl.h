// Scales and minima of Q4_K and Q5_K (block_k4.inl.h), eight of each at once.
#pragma once

#include "kernels/base/int8_avx512.inl.h"

namespace ponder::kernels {
namespace {

// The low nibbles of 32 bytes, then the high ones.
inline __m512i low_then_high_nibbles(__m256i bytes) {
  const __m512i shift = _mm512_set_epi64(4, 4, 4, 4, 0, 0, 0, 0);
  return _mm512_and_si512(_mm512_srlv_epi64(_mm512_broadcast_i64x4(bytes), shift), _mm512_set1_epi8(0xf));
}

inline void unpack_k4(const unsigned char* block, UnitWeights& w) {
  const K4Codes k4(block);
  const __m128i codes = _mm_set_epi64x(static_cast<long long>(k4.high), static_cast<long long>(k4.low));
  const __m512i of_four = _mm512_set_epi32(1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0);
  const __m128 d_dmin = _mm_cvtph_ps(_mm_cvtsi32_si128(static_cast<int>(u32_at(block))));
  const Vec values = mul(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(codes)),
                         _mm512_permutexvar_ps(of_four, _mm512_castps128_ps512(d_dmin)));
  w.scale = _mm512_permutexvar_ps(_mm512_set_epi32(11, 11, 10, 10, 9, 9, 8, 8, 3, 3, 2, 2, 1, 1, 0, 0), values);
  w.minimum = _mm512_permutexvar_ps(_mm512_set_epi32(15, 15, 14, 14, 13, 13, 12, 12, 7, 7, 6, 6, 5, 5, 4, 4), values);
}

}  // namespace
}  // namespace ponder::kernels
