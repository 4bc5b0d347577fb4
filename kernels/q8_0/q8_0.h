// Q8_0, a block type of GGUF (ggml-common.h): 32 weights in 34 bytes, little endian.
//   d f16; q[32] i8. W[i] = d q[i].
// Contracts: convert.h, matmul_f32.h, vecmat_f32.h, int8_panel.h; rows are whole blocks, and so n and n_in.
#pragma once

#include "kernels/base/block_kernels.h"

namespace ponder::kernels {

ToF32Fn q8_0_to_f32_ref, q8_0_to_f32_avx2, q8_0_to_f32_avx512;
MatmulFn matmul_q8_0_ref, matmul_q8_0_avx2, matmul_q8_0_avx512;
VecmatFn vecmat_q8_0_ref, vecmat_q8_0_avx2, vecmat_q8_0_avx512;
extern const Int8Kernels q8_0_int8_avx2, q8_0_int8_avx512vnni;

ImplList<ToF32Fn> q8_0_to_f32_impls();
ImplList<MatmulFn> matmul_q8_0_impls();
ImplList<VecmatFn> vecmat_q8_0_impls();
ImplList<const Int8Kernels> q8_0_int8_impls();

}  // namespace ponder::kernels
