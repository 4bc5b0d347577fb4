#include "kernels/row_to_int8/row_to_int8.h"

#include "kernels/base/avx2.inl.h"
#include "kernels/row_to_int8/row_to_int8_simd.inl.h"

namespace ponder::kernels {

namespace {

struct Round {
  static __m256i magnitude(const float* x) {
    return _mm256_and_si256(_mm256_castps_si256(load(x)), _mm256_set1_epi32(0x7fffffff));
  }
  static unsigned largest_magnitude(const float* x) {
    const __m256i low = _mm256_max_epu32(magnitude(x), magnitude(x + 8));
    const __m256i all = _mm256_max_epu32(low, _mm256_max_epu32(magnitude(x + 16), magnitude(x + 24)));
    __m128i a = _mm_max_epu32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
    a = _mm_max_epu32(a, _mm_shuffle_epi32(a, 0x4e));
    return static_cast<unsigned>(_mm_cvtsi128_si32(_mm_max_epu32(a, _mm_shuffle_epi32(a, 0xb1))));
  }
  static int sum(__m256i first, __m256i second) {
    const __m256i eight = _mm256_add_epi32(first, second);
    __m128i a = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    a = _mm_add_epi32(a, _mm_shuffle_epi32(a, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(a, _mm_shuffle_epi32(a, 0xb1)));
  }
  static void round_32(signed char* q, int (&sums)[2], const float* x, float inverse) {
    const auto eight = [&](std::size_t k) {
      return _mm256_cvtps_epi32(nan_to_zero(mul(load(x + 8 * k), set1(inverse))));
    };
    const __m256i a = eight(0), b = eight(1), c = eight(2), d = eight(3);
    const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));  // by halves
    const __m256i in_order = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_store_si256(reinterpret_cast<__m256i*>(q), in_order);
    sums[0] = sum(a, b);
    sums[1] = sum(c, d);
  }
};

}  // namespace

void row_to_int8_avx2(Int8Unit* y, std::size_t y_stride, const float* x, std::size_t n) {
  row_to_int8<Round>(y, y_stride, x, n);
}

}  // namespace ponder::kernels
