// Q8_0, a block type of GGUF (ggml-common.h): 32 weights in 34 bytes, little endian.
//   d f16; q[32] i8. W[i] = d q[i].
// Contracts: convert.h, matmul_f32.h, vecmat_f32.h; rows are whole blocks, and so n and n_in.
#pragma once

#include "kernels/base/block_kernels.h"

namespace ponder::kernels {

ToF32Fn q8_0_to_f32_ref, q8_0_to_f32_avx2, q8_0_to_f32_avx512;
MatmulFn matmul_q8_0_ref, matmul_q8_0_avx2, matmul_q8_0_avx512;
VecmatFn vecmat_q8_0_ref, vecmat_q8_0_avx2, vecmat_q8_0_avx512;

ImplList<ToF32Fn> q8_0_to_f32_impls();
ImplList<MatmulFn> matmul_q8_0_impls();
ImplList<VecmatFn> vecmat_q8_0_impls();

}  // namespace ponder::kernels
