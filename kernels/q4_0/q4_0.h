// Q4_0, a block type of GGUF (ggml-common.h): 32 weights in 18 bytes, little endian.
//   d f16; 16 bytes: q[i] the low nibble of byte i, q[i + 16] the high one. W[i] = d (q[i] - 8).
// Contracts: convert.h, matmul_f32.h, vecmat_f32.h, int8_panel.h; rows are whole blocks, and so n and n_in.
#pragma once

#include "kernels/base/block_kernels.h"

namespace ponder::kernels {

ToF32Fn q4_0_to_f32_ref, q4_0_to_f32_avx2, q4_0_to_f32_avx512;
MatmulFn matmul_q4_0_ref, matmul_q4_0_avx2, matmul_q4_0_avx512;
VecmatFn vecmat_q4_0_ref, vecmat_q4_0_avx2, vecmat_q4_0_avx512;
extern const Int8Kernels q4_0_int8_avx2, q4_0_int8_avx512vnni;

ImplList<ToF32Fn> q4_0_to_f32_impls();
ImplList<MatmulFn> matmul_q4_0_impls();
ImplList<VecmatFn> vecmat_q4_0_impls();
ImplList<const Int8Kernels> q4_0_int8_impls();

}  // namespace ponder::kernels
