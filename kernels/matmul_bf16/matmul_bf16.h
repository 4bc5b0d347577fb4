// The contract of matmul_f32.h with bf16 weights.
//
// matmul_bf16_fast, for fast compute and many tokens: x may be rounded to bf16 (ties to even); products are summed in f32,
// in an order that depends on n_in alone. Each y[t, n] is within (2^-8 + n_in 2^-23) of sum_k |x W| of the exact sum: 2^-8
// is the rounding of x, and denormal x, W and sums may count as 0. No version for few tokens, no reference: where the list
// has nothing for a CPU, the exact kernels are the fastest.
// Share of the peak of the instruction used, one thread of Sapphire Rapids, 96 tokens (exact: 62 %):
// avx512 85 %, avx512bf16 93 %.
#pragma once

#include "kernels/matmul_f32/matmul_f32.h"

namespace ponder::kernels {

MatmulFn matmul_bf16_ref;
MatmulFn matmul_bf16_avx2;
MatmulFn matmul_bf16_avx512;
MatmulFn matmul_bf16_neon;
MatmulFn matmul_bf16_fast_avx512;      // rounds nothing
MatmulFn matmul_bf16_fast_avx512bf16;

ImplList<MatmulFn> matmul_bf16_impls();
ImplList<MatmulFn> matmul_bf16_fast_impls();

}  // namespace ponder::kernels
