#include "kernels/base/block_scalar.inl.h"
#include "kernels/q3_k/q3_k.h"

namespace ponder::kernels {

namespace {

struct BlockQ3K {
  static constexpr std::size_t kElements = 256, kBytes = 110;
  static void decode(float* y, const unsigned char* block) {
    const unsigned char *q = block + 32, *s = block + 96;
    const float d = half_at(block + 108);
    for (std::size_t g = 0; g < 16; ++g) {
      const int scale = (s[g % 8] >> (g / 8 * 4) & 0xf) | (s[8 + g % 4] >> (g / 4 * 2) & 3) << 4;
      const float factor = d * static_cast<float>(scale - 32);
      const std::size_t half = g % 2 * 16;
      for (std::size_t i = 0; i < 16; ++i) {
        const int low = q[g / 8 * 32 + half + i] >> (g % 8 / 2 * 2) & 3, high = block[half + i] >> (g / 2) & 1;
        y[16 * g + i] = factor * static_cast<float>((low | high << 2) - 4);
      }
    }
  }
};

}  // namespace

void q3_k_to_f32_ref(float* y, const void* x, std::size_t n) { blocks_to_f32<BlockQ3K>(y, x, n); }
void matmul_q3_k_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                     std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_blocks_reference<BlockQ3K>(y, y_stride, x, x_stride, *w, n_tokens, row_begin, row_end, n_in);
}
void vecmat_q3_k_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                     std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                     int accumulate) {
  vecmat_blocks_reference<BlockQ3K>(y, y_stride, x, x_stride, *w, n_tokens, n_rows, col_begin, col_end, accumulate);
}

}  // namespace ponder::kernels
