#include "kernels/q4_1/q4_1.h"

#include "kernels/base/avx2.inl.h"
// After the lanes, which it is written in:
#include "kernels/q4_1/q4_1_simd.inl.h"
#include "kernels/base/int8_blocks_avx2.inl.h"

namespace ponder::kernels {

void q4_1_to_f32_avx2(float* y, const void* x, std::size_t n) { blocks_to_f32_simd<StoredQ41>(y, x, n); }
void matmul_q4_1_avx2(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                      std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_blocks<StoredQ41>(y, y_stride, x, x_stride, *w, n_tokens, row_begin, row_end, n_in);
}
void vecmat_q4_1_avx2(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                      std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                      int accumulate) {
  vecmat_blocks<StoredQ41>(y, y_stride, x, x_stride, *w, n_tokens, n_rows, col_begin, col_end, accumulate);
}

namespace {

struct BytesQ41 {
  static constexpr std::size_t kElements = 32, kBytes = 20;
  static constexpr int kBits = 4, kZero = 0;
  static constexpr bool kHasMinimum = true;
  static constexpr int kGroup = 32;
  void unpack(int v, __m256i (&q)[2]) const {
    for (int i = 0; i < 2; ++i) {
      const unsigned char* block = blocks + 20 * (2 * v + i);
      q[i] = spread_nibbles(block + 4);
    }
  }
  void unpack_scales(UnitScales& s) const {
    twice_each(halves_of_blocks<20>(blocks), s.scale);
    twice_each(sub(zero(), halves_of_blocks<20>(blocks, 2)), s.minimum);
  }
  const unsigned char* blocks;
};

}  // namespace

extern const Int8Kernels q4_1_int8_avx2 = {dot_int8<BytesQ41>, fill_panel<BytesQ41>};

}  // namespace ponder::kernels
