// The contract of matmul_f32.h with f16 weights.
#pragma once

#include "kernels/matmul_f32/matmul_f32.h"

namespace ponder::kernels {

MatmulFn matmul_f16_ref;
MatmulFn matmul_f16_avx2;
MatmulFn matmul_f16_avx512;
MatmulFn matmul_f16_neon;

ImplList<MatmulFn> matmul_f16_impls();

}  // namespace ponder::kernels
