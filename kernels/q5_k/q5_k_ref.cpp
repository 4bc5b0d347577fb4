#include "kernels/base/block_k4.inl.h"
#include "kernels/base/block_scalar.inl.h"
#include "kernels/q5_k/q5_k.h"

namespace ponder::kernels {

namespace {

struct BlockQ5K {
  static constexpr std::size_t kElements = 256, kBytes = 176;
  static void decode(float* y, const unsigned char* block) {
    const float d = half_at(block), dmin = half_at(block + 2);
    for (std::size_t g = 0; g < 8; ++g) {
      const float scale = d * k4_scale(block + 4, g), minimum = dmin * k4_minimum(block + 4, g);
      for (std::size_t i = 0; i < 32; ++i) {
        const int low = block[48 + g / 2 * 32 + i] >> (g % 2 * 4) & 0xf, high = block[16 + i] >> g & 1;
        y[32 * g + i] = scale * static_cast<float>(low | high << 4) - minimum;
      }
    }
  }
};

}  // namespace

void q5_k_to_f32_ref(float* y, const void* x, std::size_t n) { blocks_to_f32<BlockQ5K>(y, x, n); }
void matmul_q5_k_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                     std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_blocks_reference<BlockQ5K>(y, y_stride, x, x_stride, *w, n_tokens, row_begin, row_end, n_in);
}
void vecmat_q5_k_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                     std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                     int accumulate) {
  vecmat_blocks_reference<BlockQ5K>(y, y_stride, x, x_stride, *w, n_tokens, n_rows, col_begin, col_end, accumulate);
}

}  // namespace ponder::kernels
