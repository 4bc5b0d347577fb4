#include "kernels/matmul_int8/matmul_int8.h"

namespace ponder::kernels {

void matmul_int8_ref(float* y, std::size_t y_stride, const Int8Unit* x, std::size_t unit_stride, const WeightMatrix* w,
                     FillPanelFn* fill, std::size_t n_tokens, std::size_t row_begin, std::size_t row_end,
                     std::size_t n_in) {
  Int8Panel panel;
  for (std::size_t u = 0; u < int8_units(n_in); ++u)
    for (std::size_t row = row_begin; row < row_end; row += Int8Panel::kRows) {
      const std::size_t n_rows = row_end - row < Int8Panel::kRows ? row_end - row : Int8Panel::kRows;
      fill(&panel, w, row, n_rows, int8_unit_begin(u, n_in));
      for (std::size_t t = 0; t < n_tokens; ++t)
        for (std::size_t r = 0; r < n_rows; ++r) {
          const Int8Unit& a = x[u * unit_stride + t];
          float& out = y[t * y_stride + row + r];
          if (u == 0) out = 0;
          for (std::size_t b = 0; b < 8; ++b) {
            int sum = 0;
            for (std::size_t k = 32 * b; k < 32 * b + 32; ++k) sum += (panel.q[k / 4][4 * r + k % 4] - 128) * a.q[k];
            out += panel.scale[b][r] * a.scale[2 * b] * static_cast<float>(sum);
          }
        }
    }
}

}  // namespace ponder::kernels
