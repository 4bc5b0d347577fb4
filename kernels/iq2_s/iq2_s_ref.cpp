#include "kernels/base/block_scalar.inl.h"
#include "kernels/iq2_s/iq2_s.h"
#include "kernels/iq2_s/iq2_s_grid.inl.h"

namespace ponder::kernels {

namespace {

constexpr signed char kValues[16] = {8, 25, 43};  // of a code

struct BlockIq2S {
  static constexpr std::size_t kElements = 256, kBytes = 82;
  static void decode(float* y, const unsigned char* block) {
    const float d = half_at(block);
    for (std::size_t g = 0; g < 32; ++g) {  // eight weights each
      const int scale = block[74 + g / 4] >> (g % 4 / 2 * 4) & 0xf;
      const float factor = d * (0.5f + static_cast<float>(scale)) * 0.25f;
      const unsigned codes = kIq2SGrid[block[2 + g] | (block[66 + g / 4] >> (g % 4 * 2) & 3) << 8];
      const unsigned signs = block[34 + g];
      for (std::size_t i = 0; i < 8; ++i) {
        const float value = factor * static_cast<float>(kValues[codes >> (2 * i) & 3]);
        y[8 * g + i] = signs >> i & 1 ? -value : value;
      }
    }
  }
};

}  // namespace

void iq2_s_to_f32_ref(float* y, const void* x, std::size_t n) { blocks_to_f32<BlockIq2S>(y, x, n); }
void matmul_iq2_s_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                      std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_blocks_reference<BlockIq2S>(y, y_stride, x, x_stride, *w, n_tokens, row_begin, row_end, n_in);
}
void vecmat_iq2_s_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                      std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                      int accumulate) {
  vecmat_blocks_reference<BlockIq2S>(y, y_stride, x, x_stride, *w, n_tokens, n_rows, col_begin, col_end, accumulate);
}

}  // namespace ponder::kernels
