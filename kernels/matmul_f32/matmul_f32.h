// y[t, n] = sum_k x[t, k] * W[n, k]   for n in [row_begin, row_end)
//   y   [n_tokens, .]     f32, rows y_stride elements apart; y[t, n] is written at column n (absolute, not n - row_begin)
//   x   [n_tokens, n_in]  f32, rows x_stride elements apart
//   w   [., n_in]         f32 weights in place, or a KV cache: see matrix.h
// Every y[t, n] is one sum whose order depends on n_in alone, not on n_tokens, row_begin or row_end: a token gets the
// same bits alone and in a batch. Within 1e-5 of sum_k |x W| of matmul_f32_ref, which sums in f64.
#pragma once

#include "kernels/base/impl.h"
#include "kernels/base/matrix.h"

namespace ponder::kernels {

using MatmulFn = void(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                      std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in);

MatmulFn matmul_f32_ref;
MatmulFn matmul_f32_avx2;
MatmulFn matmul_f32_avx512;
MatmulFn matmul_f32_neon;

ImplList<MatmulFn> matmul_f32_impls();

}  // namespace ponder::kernels
