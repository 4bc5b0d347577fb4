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

// Of the blocks of two rows. factors: of scales, lane by lane.
inline RowPair unpack_pair_k4(const unsigned char* first, const unsigned char* second, Vec factors) {
  const auto in_each = [](__m128i x) { return _mm256_broadcastsi128_si256(x); };
  const __m256i heads = both(bytes16(first), bytes16(second));  // d, dmin, 12 bytes of codes (block_k4.inl.h)
  // By fours: scales 0 .. 3, scales 4 .. 7, minima 0 .. 3, minima 4 .. 7.
  const __m256i low = _mm256_shuffle_epi8(heads, in_each(_mm_setr_epi8(4, 5, 6, 7, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15)));
  const __m256i high =
      _mm256_shuffle_epi8(heads, in_each(_mm_setr_epi8(-1, -1, -1, -1, 4, 5, 6, 7, -1, -1, -1, -1, 8, 9, 10, 11)));
  const __m256i low_bits = _mm256_and_si256(_mm256_srlv_epi32(low, in_each(_mm_setr_epi32(0, 0, 0, 4))),
                                            in_each(_mm_setr_epi32(0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f)));
  const __m256i codes =  // a | (b & c)
      _mm256_ternarylogic_epi32(low_bits, _mm256_srli_epi32(high, 2), _mm256_set1_epi32(0x30303030), 0xf8);
  // Eight bytes from quadword i of each row to the lanes of that row.
  const auto to_lanes = [&](int i) {
    const __m512i quads = _mm512_permutexvar_epi64(_mm512_set_epi64(2 + i, 2 + i, 2 + i, 2 + i, i, i, i, i),
                                                   _mm512_castsi256_si512(codes));
    const __m512i of_four = _mm512_set_epi8(-1, -1, -1, 7, -1, -1, -1, 6, -1, -1, -1, 5, -1, -1, -1, 4,  //
                                            -1, -1, -1, 3, -1, -1, -1, 2, -1, -1, -1, 1, -1, -1, -1, 0,  //
                                            -1, -1, -1, 7, -1, -1, -1, 6, -1, -1, -1, 5, -1, -1, -1, 4,  //
                                            -1, -1, -1, 3, -1, -1, -1, 2, -1, -1, -1, 1, -1, -1, -1, 0);
    return _mm512_cvtepi32_ps(_mm512_shuffle_epi8(quads, of_four));
  };
  const __m256i first_words = _mm256_permutevar8x32_epi32(heads, _mm256_setr_epi32(0, 4, 0, 0, 0, 0, 0, 0));
  const Vec d_dmin = _mm512_castps128_ps512(_mm_cvtph_ps(_mm256_castsi256_si128(first_words)));
  const auto of_row = [&](int i) {
    return _mm512_permutexvar_ps(_mm512_set_epi32(2 + i, 2 + i, 2 + i, 2 + i, 2 + i, 2 + i, 2 + i, 2 + i,  //
                                                  i, i, i, i, i, i, i, i), d_dmin);
  };
  return {mul(to_lanes(0), mul(of_row(0), factors)), mul(to_lanes(1), of_row(1))};
}

}  // namespace
}  // namespace ponder::kernels
