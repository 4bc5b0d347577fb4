#include "kernels/base/block_scalar.inl.h"
#include "kernels/base/iq4_values.inl.h"
#include "kernels/iq4_xs/iq4_xs.h"

namespace ponder::kernels {

namespace {

struct BlockIq4Xs {
  static constexpr std::size_t kElements = 256, kBytes = 136;
  static void decode(float* y, const unsigned char* block) {
    const float d = half_at(block);
    const std::uint32_t high = u16_at(block + 2);
    for (std::size_t g = 0; g < 8; ++g) {
      const int scale = static_cast<int>((block[4 + g / 2] >> (g % 2 * 4) & 0xfu) | (high >> (2 * g) & 3u) << 4);
      const float factor = d * static_cast<float>(scale - 32);
      for (std::size_t i = 0; i < 16; ++i) {
        y[32 * g + i] = factor * static_cast<float>(kIq4Values[block[8 + 16 * g + i] & 0xf]);
        y[32 * g + 16 + i] = factor * static_cast<float>(kIq4Values[block[8 + 16 * g + i] >> 4]);
      }
    }
  }
};

}  // namespace

void iq4_xs_to_f32_ref(float* y, const void* x, std::size_t n) { blocks_to_f32<BlockIq4Xs>(y, x, n); }
void matmul_iq4_xs_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                       std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_blocks_reference<BlockIq4Xs>(y, y_stride, x, x_stride, *w, n_tokens, row_begin, row_end, n_in);
}
void vecmat_iq4_xs_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                       std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                       int accumulate) {
  vecmat_blocks_reference<BlockIq4Xs>(y, y_stride, x, x_stride, *w, n_tokens, n_rows, col_begin, col_end, accumulate);
}

}  // namespace ponder::kernels
