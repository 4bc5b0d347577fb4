// Q5_0, a block type of GGUF (ggml-common.h): 32 weights in 22 bytes, little endian.
//   d f16; h u32, bit i the highest of q[i]; 16 bytes: the low four bits of q[i] in the low nibble of byte i, those
//   of q[i + 16] in the high one. W[i] = d (q[i] - 16).
// Contracts: convert.h, matmul_f32.h, vecmat_f32.h, int8_panel.h; rows are whole blocks, and so n and n_in.
#pragma once

#include "kernels/base/block_kernels.h"

namespace ponder::kernels {

ToF32Fn q5_0_to_f32_ref, q5_0_to_f32_avx2, q5_0_to_f32_avx512;
MatmulFn matmul_q5_0_ref, matmul_q5_0_avx2, matmul_q5_0_avx512;
VecmatFn vecmat_q5_0_ref, vecmat_q5_0_avx2, vecmat_q5_0_avx512;
extern const Int8Kernels q5_0_int8_avx2, q5_0_int8_avx512vnni;

ImplList<ToF32Fn> q5_0_to_f32_impls();
ImplList<MatmulFn> matmul_q5_0_impls();
ImplList<VecmatFn> vecmat_q5_0_impls();
ImplList<const Int8Kernels> q5_0_int8_impls();

}  // namespace ponder::kernels
