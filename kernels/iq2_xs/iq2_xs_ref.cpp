#include "kernels/base/block_scalar.inl.h"
#include "kernels/iq2_xs/iq2_xs.h"
#include "kernels/iq2_xs/iq2_xs_grid.inl.h"

namespace ponder::kernels {

namespace {

constexpr signed char kValues[16] = {8, 25, 43};  // of a code

struct BlockIq2Xs {
  static constexpr std::size_t kElements = 256, kBytes = 74;
  static void decode(float* y, const unsigned char* block) {
    const float d = half_at(block);
    for (std::size_t g = 0; g < 32; ++g) {  // eight weights each
      const std::uint32_t q = u16_at(block + 2 + 2 * g);
      const int scale = block[66 + g / 4] >> (g % 4 / 2 * 4) & 0xf;
      const float factor = d * (0.5f + static_cast<float>(scale)) * 0.25f;
      const unsigned codes = kIq2XsGrid[q & 511];
      const unsigned signs = eight_signs(q >> 9);
      for (std::size_t i = 0; i < 8; ++i) {
        const float value = factor * static_cast<float>(kValues[codes >> (2 * i) & 3]);
        y[8 * g + i] = signs >> i & 1 ? -value : value;
      }
    }
  }
};

}  // namespace

void iq2_xs_to_f32_ref(float* y, const void* x, std::size_t n) { blocks_to_f32<BlockIq2Xs>(y, x, n); }
void matmul_iq2_xs_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                       std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_blocks_reference<BlockIq2Xs>(y, y_stride, x, x_stride, *w, n_tokens, row_begin, row_end, n_in);
}
void vecmat_iq2_xs_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                       std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                       int accumulate) {
  vecmat_blocks_reference<BlockIq2Xs>(y, y_stride, x, x_stride, *w, n_tokens, n_rows, col_begin, col_end, accumulate);
}

}  // namespace ponder::kernels
