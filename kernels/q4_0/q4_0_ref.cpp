#include "kernels/base/block_scalar.inl.h"
#include "kernels/q4_0/q4_0.h"

namespace ponder::kernels {

namespace {

struct BlockQ40 {
  static constexpr std::size_t kElements = 32, kBytes = 18;
  static void decode(float* y, const unsigned char* block) {
    const float d = half_at(block);
    for (std::size_t i = 0; i < 16; ++i) {
      y[i] = d * static_cast<float>((block[2 + i] & 0xf) - 8);
      y[i + 16] = d * static_cast<float>((block[2 + i] >> 4) - 8);
    }
  }
};

}  // namespace

void q4_0_to_f32_ref(float* y, const void* x, std::size_t n) { blocks_to_f32<BlockQ40>(y, x, n); }
void matmul_q4_0_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                     std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_blocks_reference<BlockQ40>(y, y_stride, x, x_stride, *w, n_tokens, row_begin, row_end, n_in);
}
void vecmat_q4_0_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                     std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                     int accumulate) {
  vecmat_blocks_reference<BlockQ40>(y, y_stride, x, x_stride, *w, n_tokens, n_rows, col_begin, col_end, accumulate);
}

}  // namespace ponder::kernels
