// avx512.inl.h and dot products of bf16 pairs (AVX-512 BF16): 32 bf16 values in a vector, neighbours form a pair.
#pragma once

#include "kernels/base/avx512.inl.h"

namespace ponder::kernels {
namespace {

// acc[i] += a[2i] b[2i] + a[2i + 1] b[2i + 1]; denormal inputs and sums count as 0.
inline Vec dot_pairs(Vec acc, __m512i a, __m512i b) {
  return _mm512_dpbf16_ps(acc, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}
inline __m512i round_to_pairs(Vec first, Vec second) {  // ties to even
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first));
}
inline __m512i pairs_of_floats(const float* p, std::size_t count) {  // the first `count` of 32, then zeros
  if (count >= 32) return round_to_pairs(load(p), load(p + 16));
  if (count > 16) return round_to_pairs(load(p), load_part(p + 16, count - 16));
  return round_to_pairs(count == 16 ? load(p) : load_part(p, count), zero());
}

// How a panel reads `count` <= 32 weights of a row: as they are, or dequantised and rounded.
struct PairsBf16 {
  static constexpr std::size_t kBytes = 2;
  static constexpr bool kScaled = false;
  static __m512i load(const unsigned char* p, std::size_t count, float) {
    if (count >= 32) return _mm512_loadu_si512(p);
    return _mm512_maskz_loadu_epi16((__mmask32{1} << count) - 1u, p);
  }
};
struct PairsFp8 {
  static constexpr std::size_t kBytes = 1;
  static constexpr bool kScaled = true;
  static __m512i load(const unsigned char* p, std::size_t count, float scale) {
    const Vec factor = set1(scale * 256.0f);  // see StoredFp8
    const Vec first = count >= 16 ? StoredFp8::load(p) : StoredFp8::load_part(p, count);
    Vec second = zero();
    if (count >= 32) second = StoredFp8::load(p + 16);
    else if (count > 16) second = StoredFp8::load_part(p + 16, count - 16);
    return round_to_pairs(mul(first, factor), mul(second, factor));
  }
};

// 16 vectors of 16 pairs, transposed in place.
inline void transpose_pairs(__m512i (&v)[16]) {
  __m512i a[16], b[16];
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    a[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
  for (int i = 0; i < 16; i += 4)
    for (int j = 0; j < 2; ++j) {
      b[i + 2 * j] = _mm512_unpacklo_epi64(a[i + j], a[i + j + 2]);
      b[i + 2 * j + 1] = _mm512_unpackhi_epi64(a[i + j], a[i + j + 2]);
    }
  // b[4 g + c] holds, in its four quarters, columns c, 4 + c, 8 + c and 12 + c of rows 4 g .. 4 g + 3.
  for (int c = 0; c < 4; ++c) {
    const __m512i low01 = _mm512_shuffle_i32x4(b[c], b[4 + c], 0x88), low23 = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0x88);
    const __m512i high01 = _mm512_shuffle_i32x4(b[c], b[4 + c], 0xdd), high23 = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0xdd);
    v[c] = _mm512_shuffle_i32x4(low01, low23, 0x88);
    v[8 + c] = _mm512_shuffle_i32x4(low01, low23, 0xdd);
    v[4 + c] = _mm512_shuffle_i32x4(high01, high23, 0x88);
    v[12 + c] = _mm512_shuffle_i32x4(high01, high23, 0xdd);
  }
}

}  // namespace
}  // namespace ponder::kernels
