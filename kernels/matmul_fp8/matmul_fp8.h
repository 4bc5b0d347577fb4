// The contract of matmul_f32.h with fp8 weights.
//
// matmul_fp8_fast: as matmul_bf16_fast in matmul_bf16.h, where x is rounded the dequantised weights are too (as DeepSeek's
// own conversion of its checkpoints to bf16 does): within (2^-7 + 2^-15 + n_in 2^-23) of sum_k |x W|.
#pragma once

#include "kernels/matmul_f32/matmul_f32.h"

namespace ponder::kernels {

MatmulFn matmul_fp8_ref;
MatmulFn matmul_fp8_avx2;
MatmulFn matmul_fp8_avx512;
MatmulFn matmul_fp8_neon;
MatmulFn matmul_fp8_fast_avx512;
MatmulFn matmul_fp8_fast_avx512bf16;

ImplList<MatmulFn> matmul_fp8_impls();
ImplList<MatmulFn> matmul_fp8_fast_impls();

}  // namespace ponder::kernels
