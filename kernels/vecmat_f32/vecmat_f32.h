// y[t, k] (+)= sum_n x[t, n] * W[n, k]   for n in [0, n_rows), k in [col_begin, col_end)
//   y   [n_tokens, .]       f32, rows y_stride elements apart; written at column k (absolute)
//   x   [n_tokens, n_rows]  f32, rows x_stride elements apart
//   w   [n_rows, .]         f32 weights in place, or a KV cache: see matrix.h
//   accumulate              0: y is overwritten; 1: the sum is added to y, y[t, k] being the start of the sum
// The product with the matrix from the left: absorbed MLA (q_nope BK) and attention (probabilities x values). Rows are
// added in ascending n, so the bits of y[t, k] depend on nothing but x[t, :], W[:, k] and the starting value.
// Within 1e-5 of sum_n |x W| of vecmat_f32_ref, which sums in f64.
#pragma once

#include "kernels/base/impl.h"
#include "kernels/base/matrix.h"

namespace ponder::kernels {

using VecmatFn = void(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                      std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                      int accumulate);

VecmatFn vecmat_f32_ref;
VecmatFn vecmat_f32_avx2;
VecmatFn vecmat_f32_avx512;
VecmatFn vecmat_f32_neon;

ImplList<VecmatFn> vecmat_f32_impls();

}  // namespace ponder::kernels
