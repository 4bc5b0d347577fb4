#include "kernels/base/block_scalar.inl.h"
#include "kernels/base/iq1_grid.inl.h"
#include "kernels/iq1_m/iq1_m.h"

namespace ponder::kernels {

namespace {

struct BlockIq1M {
  static constexpr std::size_t kElements = 256, kBytes = 56;
  static void decode(float* y, const unsigned char* block) {
    const unsigned char* s = block + 48;
    const float d = scalar_f16(static_cast<std::uint16_t>(u16_at(s) >> 12 | (u16_at(s + 2) >> 12) << 4 |
                                                          (u16_at(s + 4) >> 12) << 8 | (u16_at(s + 6) >> 12) << 12));
    for (std::size_t g = 0; g < 32; ++g) {  // eight weights each
      const std::uint32_t scale = u16_at(s + g / 8 * 2) >> (3 * (g % 8 / 2)) & 7;
      const unsigned more = static_cast<unsigned>(block[32 + g / 2]) >> (g % 2 * 4);
      const float factor = d * static_cast<float>(2 * scale + 1), shift = more & 8 ? -0.125f : 0.125f;
      const unsigned codes = kIq1Grid[block[g] | (more & 7) << 8];
      for (std::size_t i = 0; i < 8; ++i)
        y[8 * g + i] = factor * (static_cast<float>(codes >> (2 * i) & 3) - 1.0f + shift);
    }
  }
};

}  // namespace

void iq1_m_to_f32_ref(float* y, const void* x, std::size_t n) { blocks_to_f32<BlockIq1M>(y, x, n); }
void matmul_iq1_m_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                      std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_blocks_reference<BlockIq1M>(y, y_stride, x, x_stride, *w, n_tokens, row_begin, row_end, n_in);
}
void vecmat_iq1_m_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                      std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                      int accumulate) {
  vecmat_blocks_reference<BlockIq1M>(y, y_stride, x, x_stride, *w, n_tokens, n_rows, col_begin, col_end, accumulate);
}

}  // namespace ponder::kernels
