#include "kernels/q2_k/q2_k.h"

#include "kernels/base/avx2.inl.h"
// After the lanes, which it is written in:
#include "kernels/q2_k/q2_k_simd.inl.h"
#include "kernels/base/int8_blocks_avx2.inl.h"

namespace ponder::kernels {

void q2_k_to_f32_avx2(float* y, const void* x, std::size_t n) { blocks_to_f32_simd<StoredQ2K>(y, x, n); }
void matmul_q2_k_avx2(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                      std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_blocks<StoredQ2K>(y, y_stride, x, x_stride, *w, n_tokens, row_begin, row_end, n_in);
}
void vecmat_q2_k_avx2(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                      std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                      int accumulate) {
  vecmat_blocks<StoredQ2K>(y, y_stride, x, x_stride, *w, n_tokens, n_rows, col_begin, col_end, accumulate);
}

namespace {

struct BytesQ2K {
  static constexpr std::size_t kElements = 256, kBytes = 84;
  static constexpr int kBits = 2, kZero = 0;
  static constexpr bool kHasMinimum = true;
  void unpack(int v, __m256i (&q)[2]) const {
    const __m256i bytes = bytes32(blocks + 16 + v / 2 * 32);
    for (int i = 0; i < 2; ++i) q[i] = bit_pairs(bytes, v % 2 * 2 + i);
  }
  void unpack_scales(UnitScales& s) const {
    const __m256i codes = spread_nibbles(blocks);
    const __m128i scales = _mm256_castsi256_si128(codes), minima = _mm256_extracti128_si256(codes, 1);
    const Vec d = set1(half_at(blocks + 80)), dmin = set1(half_at(blocks + 82));
    s.scale[0] = mul(from_u8(scales), d);
    s.scale[1] = mul(from_u8(_mm_srli_si128(scales, 8)), d);
    s.minimum[0] = mul(from_u8(minima), dmin);
    s.minimum[1] = mul(from_u8(_mm_srli_si128(minima, 8)), dmin);
  }
  const unsigned char* blocks;
};

}  // namespace

extern const Int8Kernels q2_k_int8_avx2 = {dot_int8<BytesQ2K>, fill_panel<BytesQ2K>};

}  // namespace ponder::kernels
