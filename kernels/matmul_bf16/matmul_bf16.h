// The contract of matmul_f32.h with bf16 weights.
#pragma once

#include "kernels/matmul_f32/matmul_f32.h"

namespace ponder::kernels {

MatmulFn matmul_bf16_ref;
MatmulFn matmul_bf16_avx2;
MatmulFn matmul_bf16_avx512;
MatmulFn matmul_bf16_neon;

ImplList<MatmulFn> matmul_bf16_impls();

}  // namespace ponder::kernels
