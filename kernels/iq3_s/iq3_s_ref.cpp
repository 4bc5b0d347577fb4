#include "kernels/base/block_scalar.inl.h"
#include "kernels/iq3_s/iq3_s.h"
#include "kernels/iq3_s/iq3_s_grid.inl.h"

namespace ponder::kernels {

namespace {

struct BlockIq3S {
  static constexpr std::size_t kElements = 256, kBytes = 110;
  static void decode(float* y, const unsigned char* block) {
    const float d = half_at(block);
    for (std::size_t g = 0; g < 64; ++g) {  // four weights each
      const int scale = block[106 + g / 16] >> (g % 16 / 8 * 4) & 0xf;
      const float factor = d * static_cast<float>(1 + 2 * scale);
      const unsigned codes = kIq3SGrid[block[2 + g] | (block[66 + g / 8] >> (g % 8) & 1) << 8];
      const unsigned signs = static_cast<unsigned>(block[74 + g / 2]) >> (g % 2 * 4);
      for (std::size_t i = 0; i < 4; ++i) {
        const float value = factor * static_cast<float>(2 * (codes >> (3 * i) & 7) + 1);
        y[4 * g + i] = signs >> i & 1 ? -value : value;
      }
    }
  }
};

}  // namespace

void iq3_s_to_f32_ref(float* y, const void* x, std::size_t n) { blocks_to_f32<BlockIq3S>(y, x, n); }
void matmul_iq3_s_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                      std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_blocks_reference<BlockIq3S>(y, y_stride, x, x_stride, *w, n_tokens, row_begin, row_end, n_in);
}
void vecmat_iq3_s_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                      std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                      int accumulate) {
  vecmat_blocks_reference<BlockIq3S>(y, y_stride, x, x_stride, *w, n_tokens, n_rows, col_begin, col_end, accumulate);
}

}  // namespace ponder::kernels
