#include "kernels/q8_0/q8_0.h"

#include "kernels/base/avx2.inl.h"
// After the lanes, which it is written in:
#include "kernels/q8_0/q8_0_simd.inl.h"
#include "kernels/base/int8_blocks_avx2.inl.h"

namespace ponder::kernels {

void q8_0_to_f32_avx2(float* y, const void* x, std::size_t n) { blocks_to_f32_simd<StoredQ80>(y, x, n); }
void matmul_q8_0_avx2(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                      std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_blocks<StoredQ80>(y, y_stride, x, x_stride, *w, n_tokens, row_begin, row_end, n_in);
}
void vecmat_q8_0_avx2(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                      std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                      int accumulate) {
  vecmat_blocks<StoredQ80>(y, y_stride, x, x_stride, *w, n_tokens, n_rows, col_begin, col_end, accumulate);
}

namespace {

struct BytesQ80 {
  static constexpr std::size_t kElements = 32, kBytes = 34;
  static constexpr int kBits = 8, kZero = 0;
  static constexpr bool kHasMinimum = false;
  static constexpr int kGroup = 32;
  void unpack(int v, __m256i (&q)[2]) const {
    for (int i = 0; i < 2; ++i) {
      const unsigned char* block = blocks + 34 * (2 * v + i);
      q[i] = bytes32(block + 2);
    }
  }
  void unpack_scales(UnitScales& s) const {
    twice_each(halves_of_blocks<34>(blocks), s.scale);
    s.minimum[0] = s.minimum[1] = zero();
  }
  const unsigned char* blocks;
};

}  // namespace

extern const Int8Kernels q8_0_int8_avx2 = {dot_int8<BytesQ80>, fill_panel<BytesQ80>};

}  // namespace ponder::kernels
