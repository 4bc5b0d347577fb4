// Weights as the int8 matmul wants them, made from any quantised type.
#pragma once

#include "kernels/base/int8_unit.h"
#include "kernels/base/matrix.h"

namespace ponder::kernels {

// 256 columns of 32 rows: W[r, 4 p + i] = scale[p / 8][r] * (q[p][4 r + i] - 128).
struct alignas(64) Int8Panel {
  static constexpr std::size_t kRows = 32;
  unsigned char q[64][4 * kRows];
  float scale[8][kRows];
};

// y[t, r] = sum_k x[t, k] W[r, k] for rows [row_begin, row_end) and few tokens; x rows are x_stride units apart.
using DotInt8Fn = void(float* y, std::size_t y_stride, const Int8Unit* x, std::size_t x_stride, const WeightMatrix* w,
                       std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in);
// Columns [k, k + 256) of rows [row, row + n_rows), 1 <= n_rows <= 32; the panel's other rows are left undefined. Types
// with one scale and no minimum for 32 weights are held as they are; of the others 32 weights are rounded to 255
// levels, up to the largest that their scales and minima allow.
using FillPanelFn = void(Int8Panel* panel, const WeightMatrix* w, std::size_t row, std::size_t n_rows, std::size_t k);

// One ISA's of a type.
struct Int8Kernels {
  DotInt8Fn* dot;
  FillPanelFn* fill;  // null where panels are not faster than the exact matmul
  std::size_t most_dot_tokens = 0;  // where fill is null: from more on the exact matmul is the faster one
};

}  // namespace ponder::kernels
