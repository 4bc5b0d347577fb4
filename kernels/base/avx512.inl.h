// Sixteen f32 lanes: the vocabulary of avx2.inl.h for AVX-512 F, BW, DQ and VL. Tails use mask registers.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace ponder::kernels {
namespace {

using Vec = __m512;
constexpr std::size_t kLanes = 16;
// 6 x 4 accumulators, four weight rows and one activation of 32 registers.
constexpr int kTileTokens = 6;
constexpr int kTileRows = 4;

inline Vec zero() { return _mm512_setzero_ps(); }
inline Vec set1(float a) { return _mm512_set1_ps(a); }
inline Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
inline Vec sub(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
inline Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
inline Vec div(Vec a, Vec b) { return _mm512_div_ps(a, b); }
inline Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
inline Vec max_or_second(Vec a, Vec b) { return _mm512_max_ps(a, b); }  // b where either is NaN
inline Vec min_or_second(Vec a, Vec b) { return _mm512_min_ps(a, b); }
inline Vec negative_abs(Vec a) { return _mm512_or_ps(a, set1(-0.0f)); }
inline Vec nan_to_zero(Vec a) { return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, a, _CMP_ORD_Q), a); }
inline Vec where_negative(Vec test, Vec yes, Vec no) {  // by sign bit
  return _mm512_mask_mov_ps(no, _mm512_movepi32_mask(_mm512_castps_si512(test)), yes);
}
inline Vec round_even(Vec a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }

inline void powers_of_two(Vec n, Vec& first, Vec& second) {
  const __m512i whole = _mm512_cvtps_epi32(n), half = _mm512_srai_epi32(whole, 1);
  const __m512i bias = _mm512_set1_epi32(127);
  first = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(half, bias), 23));
  second = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_sub_epi32(whole, half), bias), 23));
}

inline __mmask16 part_mask(std::size_t count) { return static_cast<__mmask16>((1u << count) - 1u); }
inline Vec load(const float* p) { return _mm512_loadu_ps(p); }
inline Vec load_part(const float* p, std::size_t count) { return _mm512_maskz_loadu_ps(part_mask(count), p); }
inline void store(float* p, Vec a) { _mm512_storeu_ps(p, a); }
inline void store_part(float* p, Vec a, std::size_t count) { _mm512_mask_storeu_ps(p, part_mask(count), a); }
inline Vec fill_part(Vec a, std::size_t count, float rest) {
  return _mm512_mask_mov_ps(set1(rest), part_mask(count), a);
}

inline __m256 low_half(Vec a) { return _mm512_castps512_ps256(a); }
inline __m256 high_half(Vec a) { return _mm512_extractf32x8_ps(a, 1); }
inline float sum_lanes(Vec a) {
  const __m256 half = _mm256_add_ps(low_half(a), high_half(a));
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
inline float max_lanes(Vec a) {
  const __m256 half = _mm256_max_ps(low_half(a), high_half(a));
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
inline float first_lane(Vec a) { return _mm512_cvtss_f32(a); }

struct SquareSum {
  __m512d low = _mm512_setzero_pd(), high = _mm512_setzero_pd();
  void add_squares(Vec a) {
    const __m512d first = _mm512_cvtps_pd(low_half(a)), second = _mm512_cvtps_pd(high_half(a));
    low = _mm512_fmadd_pd(first, first, low);
    high = _mm512_fmadd_pd(second, second, high);
  }
  double total() const {
    const __m512d both = _mm512_add_pd(low, high);
    const __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(both), _mm512_extractf64x4_pd(both, 1));
    const __m128d s = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
  }
};

inline Vec rotate_pairs(Vec pairs, const float* cos, const float* sin) {
  const __m512i twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
  const Vec c = _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(_mm256_loadu_ps(cos)));
  const Vec s = _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(_mm256_loadu_ps(sin)));
  return _mm512_fmaddsub_ps(pairs, c, mul(_mm512_permute_ps(pairs, 0xb1), s));
}

inline Vec from_i8(__m128i bytes) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)); }  // the first kLanes

struct StoredF32 {
  static constexpr std::size_t kBytes = 4;
  static constexpr bool kScaled = false;
  static Vec load(const unsigned char* p) { return _mm512_loadu_ps(p); }
  static Vec load_part(const unsigned char* p, std::size_t count) {
    return _mm512_maskz_loadu_ps(part_mask(count), p);
  }
};
struct StoredBf16 {
  static constexpr std::size_t kBytes = 2;
  static constexpr bool kScaled = false;
  static Vec expand(__m256i bits) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16)); }
  static Vec load(const unsigned char* p) { return expand(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
  static Vec load_part(const unsigned char* p, std::size_t count) {
    return expand(_mm256_maskz_loadu_epi16(part_mask(count), p));
  }
};
struct StoredF16 {
  static constexpr std::size_t kBytes = 2;
  static constexpr bool kScaled = false;
  static Vec load(const unsigned char* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static Vec load_part(const unsigned char* p, std::size_t count) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(part_mask(count), p));
  }
};
struct StoredFp8 {
  static constexpr std::size_t kBytes = 1;
  static constexpr bool kScaled = true;
  // See avx2.inl.h. Bytes are widened with their sign, so that bit 15 is the sign after the shift.
  static Vec expand(__m128i codes) {
    const __m256i wide = _mm256_slli_epi16(_mm256_cvtepi8_epi16(codes), 7);
    const __m256i half = _mm256_and_si256(wide, _mm256_set1_epi16(static_cast<short>(0xbf80)));
    const __m256i nan = _mm256_and_si256(_mm256_add_epi16(half, _mm256_set1_epi16(0x80)), _mm256_set1_epi16(0x4000));
    return _mm512_cvtph_ps(_mm256_or_si256(half, nan));
  }
  static Vec load(const unsigned char* p) { return expand(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
  static Vec load_part(const unsigned char* p, std::size_t count) {
    return expand(_mm_maskz_loadu_epi8(part_mask(count), p));
  }
};

inline Vec plain_nan(Vec a) {
  const Vec nan = _mm512_or_ps(_mm512_and_ps(a, set1(-0.0f)), _mm512_castsi512_ps(_mm512_set1_epi32(0x7fc00000)));
  return _mm512_mask_mov_ps(a, _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), nan);
}

struct ToBf16 {
  static void store(unsigned char* p, Vec a) {
    const __m512i bits = _mm512_castps_si512(a), high = _mm512_srli_epi32(bits, 16);
    const __m512i odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
    const __m512i rounded =
        _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd), 16);
    const __m512i quiet = _mm512_or_si512(high, _mm512_set1_epi32(0x40));
    const __m512i out = _mm512_mask_mov_epi32(rounded, _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), quiet);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(out));
  }
};
struct ToF16 {
  static void store(unsigned char* p, Vec a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
  }
};

}  // namespace
}  // namespace ponder::kernels
