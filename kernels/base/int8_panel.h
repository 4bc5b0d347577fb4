// Weights as the int8 matmul wants them, made from any quantised type.
#pragma once

#include "kernels/base/int8_unit.h"
#include "kernels/base/matrix.h"

namespace ponder::kernels {

// 256 columns of 32 rows: W[r, 4 p + i] = scale[g][r] * (q - zero) - minimum[g][r], g = (4 p + i) / group,
// where q is q[p][4 r + i], and zero 128 in a biased panel, else 0.
struct alignas(64) Int8Panel {
  static constexpr std::size_t kRows = 32;
  unsigned char q[64][4 * kRows];
  float scale[16][kRows];
  float minimum[16][kRows];  // where bits < 8
  int group;                 // columns with the same scale: 16 or 32
  int bits;                  // q is unsigned and below 2^bits; where bits is 8 and the panel is not biased, signed
  bool biased;
};

// q - zero of column k of row r.
inline int panel_code(const Int8Panel& panel, std::size_t r, std::size_t k) {
  const int q = panel.q[k / 4][4 * r + k % 4];
  return panel.biased ? q - 128 : panel.bits == 8 && q > 127 ? q - 256 : q;
}
// W[r, k].
inline double panel_weight(const Int8Panel& panel, std::size_t r, std::size_t k) {
  const std::size_t g = k / static_cast<std::size_t>(panel.group);
  return double{panel.scale[g][r]} * panel_code(panel, r, k) - (panel.bits < 8 ? double{panel.minimum[g][r]} : 0);
}

// y[t, r] = sum_k x[t, k] W[r, k] for rows [row_begin, row_end) and few tokens; x rows are x_stride units apart.
using DotInt8Fn = void(float* y, std::size_t y_stride, const Int8Unit* x, std::size_t x_stride, const WeightMatrix* w,
                       std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in);
// Columns [k, k + 256) of rows [row, row + n_rows), 1 <= n_rows <= 32; the panel's other rows are left undefined. A matmul
// takes the panels of its own instruction set. avx512vnni: biased, with one scale for 32 and no minimum; weights of other
// types are rounded to 255 levels, up to the largest that their scales and minima allow. avx2: q, scales and minima as they are
// stored, as the fewer bits there are, the more products are summed in 16.
using FillPanelFn = void(Int8Panel* panel, const WeightMatrix* w, std::size_t row, std::size_t n_rows, std::size_t k);

// One ISA's of a type.
struct Int8Kernels {
  DotInt8Fn* dot;
  FillPanelFn* fill;
};

}  // namespace ponder::kernels
