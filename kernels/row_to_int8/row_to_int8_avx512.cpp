#include "kernels/row_to_int8/row_to_int8.h"

#include "kernels/base/avx512.inl.h"

namespace ponder::kernels {

namespace {

inline __m512i magnitude(const float* x) {  // as bits, whose order is that of the values, and NaN the largest
  return _mm512_and_si512(_mm512_loadu_si512(x), _mm512_set1_epi32(0x7fffffff));
}
inline __m512i max_of_32(const float* x) {
  return _mm512_max_epu32(magnitude(x), magnitude(x + 16));
}

struct Rounding {
  float scale;
  Vec inverse;
  explicit Rounding(__m512i magnitudes) {
    const unsigned bits = _mm512_reduce_max_epu32(magnitudes);
    float most;
    __builtin_memcpy(&most, &bits, sizeof most);
    const bool finite = bits < 0x7f800000;
    scale = finite ? most * (1.0f / 127.0f) : __builtin_nanf("");
    inverse = set1(finite && bits != 0 ? 127.0f / most : 0.0f);
  }
};

// 32 values from q[32 i] on.
inline void round_32(Int8Unit& y, std::size_t i, const float* x, const Rounding& r) {
  const auto sixteen = [&](std::size_t half) {  // the sum of its q
    const __m512i q = _mm512_cvtps_epi32(nan_to_zero(mul(load(x + 16 * half), r.inverse)));
    _mm_store_si128(reinterpret_cast<__m128i*>(y.q + 32 * i + 16 * half), _mm512_cvtepi32_epi8(q));
    y.scale[2 * i + half] = r.scale;
    const int sum = _mm512_reduce_add_epi32(q);
    y.scaled_sum[2 * i + half] = r.scale * static_cast<float>(sum);
    return sum;
  };
  y.offset[i] = -128 * (sixteen(0) + sixteen(1));
}

}  // namespace

void row_to_int8_avx512(Int8Unit* y, std::size_t y_stride, const float* x, std::size_t n) {
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
