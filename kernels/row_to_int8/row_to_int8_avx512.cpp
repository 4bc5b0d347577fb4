#include "kernels/row_to_int8/row_to_int8.h"

#include "kernels/base/avx512.inl.h"
#include "kernels/row_to_int8/row_to_int8_simd.inl.h"

namespace ponder::kernels {

namespace {

struct Round {
  static __m512i magnitude(const float* x) {
    return _mm512_and_si512(_mm512_loadu_si512(x), _mm512_set1_epi32(0x7fffffff));
  }
  static unsigned largest_magnitude(const float* x) {
    return _mm512_reduce_max_epu32(_mm512_max_epu32(magnitude(x), magnitude(x + 16)));
  }
  static void round_32(signed char* q, int (&sums)[2], const float* x, float inverse) {
    for (std::size_t half = 0; half < 2; ++half) {
      const __m512i rounded = _mm512_cvtps_epi32(nan_to_zero(mul(load(x + 16 * half), set1(inverse))));
      _mm_store_si128(reinterpret_cast<__m128i*>(q + 16 * half), _mm512_cvtepi32_epi8(rounded));
      sums[half] = _mm512_reduce_add_epi32(rounded);
    }
  }
};

}  // namespace

void row_to_int8_avx512(Int8Unit* y, std::size_t y_stride, const float* x, std::size_t n) {
  row_to_int8<Round>(y, y_stride, x, n);
}

}  // namespace ponder::kernels
