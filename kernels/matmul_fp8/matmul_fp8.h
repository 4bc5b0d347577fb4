// The contract of matmul_f32.h with fp8 weights.
#pragma once

#include "kernels/matmul_f32/matmul_f32.h"

namespace ponder::kernels {

MatmulFn matmul_fp8_ref;
MatmulFn matmul_fp8_avx2;
MatmulFn matmul_fp8_avx512;
MatmulFn matmul_fp8_neon;

ImplList<MatmulFn> matmul_fp8_impls();

}  // namespace ponder::kernels
