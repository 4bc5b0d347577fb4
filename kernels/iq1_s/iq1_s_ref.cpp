#include "kernels/base/block_scalar.inl.h"
#include "kernels/base/iq1_grid.inl.h"
#include "kernels/iq1_s/iq1_s.h"

namespace ponder::kernels {

namespace {

struct BlockIq1S {
  static constexpr std::size_t kElements = 256, kBytes = 50;
  static void decode(float* y, const unsigned char* block) {
    const float d = half_at(block);
    for (std::size_t g = 0; g < 32; ++g) {  // eight weights each
      const std::uint32_t more = u16_at(block + 34 + g / 4 * 2);
      const float factor = d * static_cast<float>(2 * (more >> 12 & 7) + 1), shift = more & 0x8000 ? -0.125f : 0.125f;
      const unsigned codes = kIq1Grid[block[2 + g] | (more >> (3 * (g % 4)) & 7) << 8];
      for (std::size_t i = 0; i < 8; ++i)
        y[8 * g + i] = factor * (static_cast<float>(codes >> (2 * i) & 3) - 1.0f + shift);
    }
  }
};

}  // namespace

void iq1_s_to_f32_ref(float* y, const void* x, std::size_t n) { blocks_to_f32<BlockIq1S>(y, x, n); }
void matmul_iq1_s_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                      std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_blocks_reference<BlockIq1S>(y, y_stride, x, x_stride, *w, n_tokens, row_begin, row_end, n_in);
}
void vecmat_iq1_s_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                      std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                      int accumulate) {
  vecmat_blocks_reference<BlockIq1S>(y, y_stride, x, x_stride, *w, n_tokens, n_rows, col_begin, col_end, accumulate);
}

}  // namespace ponder::kernels
