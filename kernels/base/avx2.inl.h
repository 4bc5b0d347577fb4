// Eight f32 lanes: the vocabulary that the *_simd.inl.h files are written in, for AVX2 with FMA and F16C.
// `count` of the _part functions is 1 .. kLanes - 1; nothing beyond it is touched, and loads fill up with zeros.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace ponder::kernels {
namespace {

using Vec = __m256;
constexpr std::size_t kLanes = 8;
// Accumulators of one matmul tile: 4 x 3, three weight rows and one activation fill the 16 registers.
constexpr int kTileTokens = 4;
constexpr int kTileRows = 3;

inline Vec zero() { return _mm256_setzero_ps(); }
inline Vec set1(float a) { return _mm256_set1_ps(a); }
inline Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
inline Vec sub(Vec a, Vec b) { return _mm256_sub_ps(a, b); }
inline Vec mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
inline Vec div(Vec a, Vec b) { return _mm256_div_ps(a, b); }
inline Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
inline Vec max_or_second(Vec a, Vec b) { return _mm256_max_ps(a, b); }  // b where either is NaN
inline Vec min_or_second(Vec a, Vec b) { return _mm256_min_ps(a, b); }
inline Vec negative_abs(Vec a) { return _mm256_or_ps(a, set1(-0.0f)); }
inline Vec nan_to_zero(Vec a) { return _mm256_and_ps(a, _mm256_cmp_ps(a, a, _CMP_ORD_Q)); }
inline Vec where_negative(Vec test, Vec yes, Vec no) { return _mm256_blendv_ps(no, yes, test); }  // by sign bit
inline Vec round_even(Vec a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }

// a * 2^n in two factors, as 2^n alone may leave the normal range: n integral, -250 .. 250.
inline void powers_of_two(Vec n, Vec& first, Vec& second) {
  const __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
  const __m256i bias = _mm256_set1_epi32(127);
  first = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
  second = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(whole, half), bias), 23));
}

inline __m256i part_mask(std::size_t count) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), lane);
}
inline Vec load(const float* p) { return _mm256_loadu_ps(p); }
inline Vec load_part(const float* p, std::size_t count) { return _mm256_maskload_ps(p, part_mask(count)); }
inline void store(float* p, Vec a) { _mm256_storeu_ps(p, a); }
inline void store_part(float* p, Vec a, std::size_t count) { _mm256_maskstore_ps(p, part_mask(count), a); }
inline Vec fill_part(Vec a, std::size_t count, float rest) {
  return _mm256_blendv_ps(set1(rest), a, _mm256_castsi256_ps(part_mask(count)));
}

inline float sum_lanes(Vec a) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
inline float max_lanes(Vec a) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
inline float first_lane(Vec a) { return _mm256_cvtss_f32(a); }

// Sums of squares in f64.
struct SquareSum {
  __m256d low = _mm256_setzero_pd(), high = _mm256_setzero_pd();
  void add_squares(Vec a) {
    const __m256d first = _mm256_cvtps_pd(_mm256_castps256_ps128(a));
    const __m256d second = _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1));
    low = _mm256_fmadd_pd(first, first, low);
    high = _mm256_fmadd_pd(second, second, high);
  }
  double total() const {
    const __m256d both = _mm256_add_pd(low, high);
    const __m128d s = _mm_add_pd(_mm256_castpd256_pd128(both), _mm256_extractf128_pd(both, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
  }
};

// Pairs (a, b) in neighbouring lanes: (a cos - b sin, b cos + a sin); cos, sin hold kLanes / 2 values.
inline Vec rotate_pairs(Vec pairs, const float* cos, const float* sin) {
  const __m256i twice = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
  const Vec c = _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(cos)), twice);
  const Vec s = _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(sin)), twice);
  return _mm256_fmaddsub_ps(pairs, c, mul(_mm256_permute_ps(pairs, 0xb1), s));
}

inline Vec from_i8(__m128i bytes) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)); }  // the first kLanes

// Storage types. load() reads kLanes elements; fp8 lacks a factor 2^8, which callers put into the scale.
struct StoredF32 {
  static constexpr std::size_t kBytes = 4;
  static constexpr bool kScaled = false;
  static Vec load(const unsigned char* p) { return _mm256_loadu_ps(reinterpret_cast<const float*>(p)); }
  static Vec load_part(const unsigned char* p, std::size_t count) {
    return _mm256_maskload_ps(reinterpret_cast<const float*>(p), part_mask(count));
  }
};
struct StoredBf16 {
  static constexpr std::size_t kBytes = 2;
  static constexpr bool kScaled = false;
  static Vec expand(__m128i bits) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16)); }
  static Vec load(const unsigned char* p) { return expand(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
  static Vec load_part(const unsigned char* p, std::size_t count) {
    __m128i bits = _mm_setzero_si128();
    __builtin_memcpy(&bits, p, 2 * count);
    return expand(bits);
  }
};
struct StoredF16 {
  static constexpr std::size_t kBytes = 2;
  static constexpr bool kScaled = false;
  static Vec load(const unsigned char* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Vec load_part(const unsigned char* p, std::size_t count) {
    __m128i bits = _mm_setzero_si128();
    __builtin_memcpy(&bits, p, 2 * count);
    return _mm256_cvtph_ps(bits);
  }
};
struct StoredFp8 {
  static constexpr std::size_t kBytes = 1;
  static constexpr bool kScaled = true;
  // As f16 bits, sign | (code & 0x7f) << 7, which is 2^-8 of the value. Only the NaN code carries into bit 14 when 0x80 is
  // added; with that bit the exponent is all ones.
  static Vec expand(__m128i codes) {
    const __m128i wide = _mm_srai_epi16(_mm_unpacklo_epi8(_mm_setzero_si128(), codes), 1);
    const __m128i half = _mm_and_si128(wide, _mm_set1_epi16(static_cast<short>(0xbf80)));
    const __m128i nan = _mm_and_si128(_mm_add_epi16(half, _mm_set1_epi16(0x80)), _mm_set1_epi16(0x4000));
    return _mm256_cvtph_ps(_mm_or_si128(half, nan));
  }
  static Vec load(const unsigned char* p) { return expand(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))); }
  static Vec load_part(const unsigned char* p, std::size_t count) {
    std::uint64_t codes = 0;
    __builtin_memcpy(&codes, p, count);
    return expand(_mm_cvtsi64_si128(static_cast<long long>(codes)));
  }
};

// NaN as the reference writes it: the sign and one quiet bit.
inline Vec plain_nan(Vec a) {
  const Vec nan = _mm256_or_ps(_mm256_and_ps(a, set1(-0.0f)), _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000)));
  return _mm256_blendv_ps(a, nan, _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
}

struct ToBf16 {
  static void store(unsigned char* p, Vec a) {
    const __m256i bits = _mm256_castps_si256(a), high = _mm256_srli_epi32(bits, 16);
    const __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
    const __m256i rounded =
        _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd), 16);
    const __m256i quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    const __m256i out = _mm256_blendv_epi8(rounded, quiet, nan);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                     _mm_packus_epi32(_mm256_castsi256_si128(out), _mm256_extracti128_si256(out, 1)));
  }
};
struct ToF16 {
  static void store(unsigned char* p, Vec a) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
  }
};

}  // namespace
}  // namespace ponder::kernels
