#include "kernels/row_to_int8/row_to_int8.h"

#include "kernels/base/avx2.inl.h"

namespace ponder::kernels {

namespace {

inline __m256i magnitude(const float* x) {  // as bits, whose order is that of the values, and NaN the largest
  return _mm256_and_si256(_mm256_castps_si256(load(x)), _mm256_set1_epi32(0x7fffffff));
}
inline __m256i max_of_32(const float* x) {
  const __m256i low = _mm256_max_epu32(magnitude(x), magnitude(x + 8));
  return _mm256_max_epu32(low, _mm256_max_epu32(magnitude(x + 16), magnitude(x + 24)));
}

struct Rounding {
  float scale;
  Vec inverse;
  explicit Rounding(__m256i magnitudes) {
    __m128i a = _mm_max_epu32(_mm256_castsi256_si128(magnitudes), _mm256_extracti128_si256(magnitudes, 1));
    a = _mm_max_epu32(a, _mm_shuffle_epi32(a, 0x4e));
    a = _mm_max_epu32(a, _mm_shuffle_epi32(a, 0xb1));
    const auto bits = static_cast<unsigned>(_mm_cvtsi128_si32(a));
    float most;
    __builtin_memcpy(&most, &bits, sizeof most);
    const bool finite = bits < 0x7f800000;
    scale = finite ? most * (1.0f / 127.0f) : __builtin_nanf("");
    inverse = set1(finite && bits != 0 ? 127.0f / most : 0.0f);
  }
};

// 32 values from q[32 i] on.
inline void round_32(Int8Unit& y, std::size_t i, const float* x, const Rounding& r) {
  const auto eight = [&](std::size_t k) {
    return _mm256_cvtps_epi32(nan_to_zero(mul(load(x + 8 * k), r.inverse)));
  };
  const __m256i a = eight(0), b = eight(1), c = eight(2), d = eight(3);
  const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));  // by halves
  const __m256i in_order = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  _mm256_store_si256(reinterpret_cast<__m256i*>(y.q + 32 * i), in_order);
  const auto put = [&](std::size_t half, __m256i first, __m256i second) {
    const __m256i eight_sums = _mm256_add_epi32(first, second);
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(eight_sums), _mm256_extracti128_si256(eight_sums, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
    y.scale[2 * i + half] = r.scale;
    y.scaled_sum[2 * i + half] = r.scale * static_cast<float>(_mm_cvtsi128_si32(sum));
    return _mm_cvtsi128_si32(sum);
  };
  y.offset[i] = -128 * (put(0, a, b) + put(1, c, d));
}

}  // namespace

void row_to_int8_avx2(Int8Unit* y, std::size_t y_stride, const float* x, std::size_t n) {
  for (std::size_t u = 0; u < int8_units(n); ++u) {
    Int8Unit& unit = y[u * y_stride];
    const std::size_t begin = int8_unit_begin(u, n), own = (u * Int8Unit::kElements - begin) / 32;
    const float* from = x + begin;
    for (std::size_t i = 0; i < own; ++i) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(unit.q + 32 * i), _mm256_setzero_si256());
      unit.offset[i] = 0;
      unit.scale[2 * i] = unit.scale[2 * i + 1] = unit.scaled_sum[2 * i] = unit.scaled_sum[2 * i + 1] = 0;
    }
    for (std::size_t i = own; i < 8; ++i) round_32(unit, i, from + 32 * i, Rounding(max_of_32(from + 32 * i)));
  }
}

}  // namespace ponder::kernels
