#include "kernels/q6_k/q6_k.h"

#include "kernels/base/avx2.inl.h"
// After the lanes, which it is written in:
#include "kernels/q6_k/q6_k_simd.inl.h"
#include "kernels/base/int8_blocks_avx2.inl.h"

namespace ponder::kernels {

void q6_k_to_f32_avx2(float* y, const void* x, std::size_t n) { blocks_to_f32_simd<StoredQ6K>(y, x, n); }
void matmul_q6_k_avx2(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                      std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_blocks<StoredQ6K>(y, y_stride, x, x_stride, *w, n_tokens, row_begin, row_end, n_in);
}
void vecmat_q6_k_avx2(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                      std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                      int accumulate) {
  vecmat_blocks<StoredQ6K>(y, y_stride, x, x_stride, *w, n_tokens, n_rows, col_begin, col_end, accumulate);
}

namespace {

struct BytesQ6K {
  static constexpr std::size_t kElements = 256, kBytes = 210;
  static constexpr int kBits = 6, kZero = 32;
  static constexpr bool kHasMinimum = false;
  void unpack(int v, __m256i (&q)[2]) const {
    const __m256i high = bytes32(blocks + 128 + v / 2 * 32);
    for (int i = 0; i < 2; ++i) {
      const __m256i bytes = bytes32(blocks + v / 2 * 64 + 32 * i), low = v % 2 ? high_nibbles(bytes) : low_nibbles(bytes);
      q[i] = _mm256_or_si256(low, _mm256_slli_epi16(bit_pairs(high, v % 2 * 2 + i), 4));
    }
  }
  void unpack_scales(UnitScales& s) const {
    const __m128i factors = bytes16(blocks + 192);
    const Vec d = set1(half_at(blocks + 208));
    s.scale[0] = mul(from_i8(factors), d);
    s.scale[1] = mul(from_i8(_mm_srli_si128(factors, 8)), d);
    s.minimum[0] = s.minimum[1] = zero();
  }
  const unsigned char* blocks;
};

}  // namespace

extern const Int8Kernels q6_k_int8_avx2 = {dot_int8<BytesQ6K>, fill_panel<BytesQ6K>};

}  // namespace ponder::kernels
