#include "kernels/base/block_scalar.inl.h"
#include "kernels/iq3_xxs/iq3_xxs.h"
#include "kernels/iq3_xxs/iq3_xxs_grid.inl.h"

namespace ponder::kernels {

namespace {

constexpr signed char kValues[16] = {4, 12, 20, 28, 36, 44, 52, 62};  // of a code

struct BlockIq3Xxs {
  static constexpr std::size_t kElements = 256, kBytes = 98;
  static void decode(float* y, const unsigned char* block) {
    const float d = half_at(block);
    for (std::size_t g = 0; g < 64; ++g) {  // four weights each
      const std::uint32_t more = u32_at(block + 66 + g / 8 * 4);
      const float factor = d * (0.5f + static_cast<float>(more >> 28)) * 0.5f;
      const unsigned codes = kIq3XxsGrid[block[2 + g]];
      const unsigned signs = eight_signs(more >> (7 * (g % 8 / 2)) & 127) >> (g % 2 * 4);
      for (std::size_t i = 0; i < 4; ++i) {
        const float value = factor * static_cast<float>(kValues[codes >> (3 * i) & 7]);
        y[4 * g + i] = signs >> i & 1 ? -value : value;
      }
    }
  }
};

}  // namespace

void iq3_xxs_to_f32_ref(float* y, const void* x, std::size_t n) { blocks_to_f32<BlockIq3Xxs>(y, x, n); }
void matmul_iq3_xxs_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                        std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_blocks_reference<BlockIq3Xxs>(y, y_stride, x, x_stride, *w, n_tokens, row_begin, row_end, n_in);
}
void vecmat_iq3_xxs_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                        std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                        int accumulate) {
  vecmat_blocks_reference<BlockIq3Xxs>(y, y_stride, x, x_stride, *w, n_tokens, n_rows, col_begin, col_end, accumulate);
}

}  // namespace ponder::kernels
