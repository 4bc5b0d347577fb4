#include "kernels/base/block_scalar.inl.h"
#include "kernels/q2_k/q2_k.h"

namespace ponder::kernels {

namespace {

struct BlockQ2K {
  static constexpr std::size_t kElements = 256, kBytes = 84;
  static void decode(float* y, const unsigned char* block) {
    const unsigned char* q = block + 16;
    const float d = half_at(block + 80), dmin = half_at(block + 82);
    for (std::size_t g = 0; g < 16; ++g) {
      const float scale = d * static_cast<float>(block[g] & 0xf), minimum = dmin * static_cast<float>(block[g] >> 4);
      const unsigned char* bytes = q + g / 8 * 32 + g % 2 * 16;
      for (std::size_t i = 0; i < 16; ++i)
        y[16 * g + i] = scale * static_cast<float>(bytes[i] >> (g % 8 / 2 * 2) & 3) - minimum;
    }
  }
};

}  // namespace

void q2_k_to_f32_ref(float* y, const void* x, std::size_t n) { blocks_to_f32<BlockQ2K>(y, x, n); }
void matmul_q2_k_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                     std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_blocks_reference<BlockQ2K>(y, y_stride, x, x_stride, *w, n_tokens, row_begin, row_end, n_in);
}
void vecmat_q2_k_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                     std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                     int accumulate) {
  vecmat_blocks_reference<BlockQ2K>(y, y_stride, x, x_stride, *w, n_tokens, n_rows, col_begin, col_end, accumulate);
}

}  // namespace ponder::kernels
