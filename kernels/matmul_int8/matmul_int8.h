// y[t, r] = sum_k x[t, k] W[r, k] for many tokens (fast compute): a panel of weights is made int8 once for many tokens and
// multiplied with each. Sums of 32 products are exact integers.
//   y         [n_tokens, row_end]   f32, y_stride floats apart; columns [row_begin, row_end) are written
//   x         [int8_units(n_in), n_tokens]  of row_to_int8, rows unit_stride units apart
//   fill      of the weights' type; n_in >= 256 and a multiple of 32
#pragma once

#include "kernels/base/impl.h"
#include "kernels/base/int8_panel.h"

namespace ponder::kernels {

using MatmulInt8Fn = void(float* y, std::size_t y_stride, const Int8Unit* x, std::size_t unit_stride, const WeightMatrix* w,
                          FillPanelFn* fill, std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in);

MatmulInt8Fn matmul_int8_ref, matmul_int8_avx2, matmul_int8_avx512vnni;

ImplList<MatmulInt8Fn> matmul_int8_impls();

}  // namespace ponder::kernels
