#include "kernels/base/block_scalar.inl.h"
#include "kernels/q6_k/q6_k.h"

namespace ponder::kernels {

namespace {

struct BlockQ6K {
  static constexpr std::size_t kElements = 256, kBytes = 210;
  static void decode(float* y, const unsigned char* block) {
    const unsigned char *q = block, *h = block + 128, *scales = block + 192;
    const float d = half_at(block + 208);
    for (std::size_t g = 0; g < 16; ++g) {
      const std::size_t n = g / 8, j = g % 8 / 2, half = g % 2 * 16;
      const float scale = d * static_cast<float>(signed_at(scales + g));
      for (std::size_t i = half; i < half + 16; ++i) {
        const int low = q[64 * n + j % 2 * 32 + i] >> (j / 2 * 4) & 0xf, high = h[32 * n + i] >> (2 * j) & 3;
        y[128 * n + 32 * j + i] = scale * static_cast<float>((low | high << 4) - 32);
      }
    }
  }
};

}  // namespace

void q6_k_to_f32_ref(float* y, const void* x, std::size_t n) { blocks_to_f32<BlockQ6K>(y, x, n); }
void matmul_q6_k_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                     std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_blocks_reference<BlockQ6K>(y, y_stride, x, x_stride, *w, n_tokens, row_begin, row_end, n_in);
}
void vecmat_q6_k_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                     std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                     int accumulate) {
  vecmat_blocks_reference<BlockQ6K>(y, y_stride, x, x_stride, *w, n_tokens, n_rows, col_begin, col_end, accumulate);
}

}  // namespace ponder::kernels
