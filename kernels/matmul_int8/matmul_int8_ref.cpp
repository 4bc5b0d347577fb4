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
          const std::size_t group = static_cast<std::size_t>(panel.group);
          for (std::size_t g = 0; g < 256 / group; ++g) {
            int sum = 0, x_sum = 0;
            for (std::size_t k = group * g; k < group * (g + 1); ++k) sum += panel_code(panel, r, k) * a.q[k], x_sum += a.q[k];
            const float x_scale = a.scale[group * g / 16];
            out += panel.scale[g][r] * x_scale * static_cast<float>(sum);
            if (panel.bits < 8) out -= panel.minimum[g][r] * (x_scale * static_cast<float>(x_sum));
          }
        }
    }
}

}  // namespace ponder::kernels
