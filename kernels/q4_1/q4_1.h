// Q4_1, a block type of GGUF (ggml-common.h): 32 weights in 20 bytes, little endian.
//   d, m f16; 16 bytes: q[i] the low nibble of byte i, q[i + 16] the high one. W[i] = d q[i] + m.
// Contracts: convert.h, matmul_f32.h, vecmat_f32.h, int8_panel.h; rows are whole blocks, and so n and n_in.
#pragma once

#include "kernels/base/block_kernels.h"

namespace ponder::kernels {

ToF32Fn q4_1_to_f32_ref, q4_1_to_f32_avx2, q4_1_to_f32_avx512;
MatmulFn matmul_q4_1_ref, matmul_q4_1_avx2, matmul_q4_1_avx512;
VecmatFn vecmat_q4_1_ref, vecmat_q4_1_avx2, vecmat_q4_1_avx512;
extern const Int8Kernels q4_1_int8_avx2, q4_1_int8_avx512vnni;

ImplList<ToF32Fn> q4_1_to_f32_impls();
ImplList<MatmulFn> matmul_q4_1_impls();
ImplList<VecmatFn> vecmat_q4_1_impls();
ImplList<const Int8Kernels> q4_1_int8_impls();

}  // namespace ponder::kernels
