#include "kernels/base/block_scalar.inl.h"
#include "kernels/q5_1/q5_1.h"

namespace ponder::kernels {

namespace {

struct BlockQ51 {
  static constexpr std::size_t kElements = 32, kBytes = 24;
  static void decode(float* y, const unsigned char* block) {
    const float d = half_at(block), m = half_at(block + 2);
    const std::uint32_t high = u32_at(block + 4);
    for (std::size_t i = 0; i < 16; ++i) {
      y[i] = d * static_cast<float>((block[8 + i] & 0xfu) | (high >> i & 1u) << 4) + m;
      y[i + 16] = d * static_cast<float>(block[8 + i] >> 4 | (high >> (i + 16) & 1u) << 4) + m;
    }
  }
};

}  // namespace

void q5_1_to_f32_ref(float* y, const void* x, std::size_t n) { blocks_to_f32<BlockQ51>(y, x, n); }
void matmul_q5_1_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                     std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_blocks_reference<BlockQ51>(y, y_stride, x, x_stride, *w, n_tokens, row_begin, row_end, n_in);
}
void vecmat_q5_1_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                     std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                     int accumulate) {
  vecmat_blocks_reference<BlockQ51>(y, y_stride, x, x_stride, *w, n_tokens, n_rows, col_begin, col_end, accumulate);
}

}  // namespace ponder::kernels
