#include "kernels/q5_k/q5_k.h"

#include "kernels/base/avx2.inl.h"
// After the lanes, which it is written in:
#include "kernels/q5_k/q5_k_simd.inl.h"
#include "kernels/base/int8_blocks_avx2.inl.h"

namespace ponder::kernels {

void q5_k_to_f32_avx2(float* y, const void* x, std::size_t n) { blocks_to_f32_simd<StoredQ5K>(y, x, n); }
void matmul_q5_k_avx2(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                      std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_blocks<StoredQ5K>(y, y_stride, x, x_stride, *w, n_tokens, row_begin, row_end, n_in);
}
void vecmat_q5_k_avx2(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                      std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                      int accumulate) {
  vecmat_blocks<StoredQ5K>(y, y_stride, x, x_stride, *w, n_tokens, n_rows, col_begin, col_end, accumulate);
}

namespace {

struct BytesQ5K {
  static constexpr std::size_t kElements = 256, kBytes = 176;
  static constexpr int kBits = 5, kZero = 0;
  static constexpr bool kHasMinimum = true;
  static constexpr int kGroup = 32;
  void unpack(int v, __m256i (&q)[2]) const {
    const __m256i bytes = bytes32(blocks + 48 + 32 * v), high = bytes32(blocks + 16);
    q[0] = _mm256_or_si256(low_nibbles(bytes), move_bit(high, 2 * v, 4));
    q[1] = _mm256_or_si256(high_nibbles(bytes), move_bit(high, 2 * v + 1, 4));
  }
  void unpack_scales(UnitScales& s) const { unpack_k4(blocks, s); }
  const unsigned char* blocks;
};

}  // namespace

extern const Int8Kernels q5_k_int8_avx2 = {dot_int8<BytesQ5K>, fill_panel<BytesQ5K>};

}  // namespace ponder::kernels
