// Q2_K, a block type of GGUF (ggml-common.h): 256 weights in 84 bytes, little endian.
//   16 bytes: scale (low nibble) and minimum (high) of 16 weights each; 64 bytes of two bits; d, dmin f16. Weights
//   128 n + 32 j + i (i < 32) lie in bits 2 j, 2 j + 1 of byte 32 n + i. W = d scale q - dmin minimum.
// Contracts: convert.h, matmul_f32.h, vecmat_f32.h, int8_panel.h; rows are whole blocks, and so n and n_in.
#pragma once

#include "kernels/base/block_kernels.h"

namespace ponder::kernels {

ToF32Fn q2_k_to_f32_ref, q2_k_to_f32_avx2, q2_k_to_f32_avx512;
MatmulFn matmul_q2_k_ref, matmul_q2_k_avx2, matmul_q2_k_avx512;
VecmatFn vecmat_q2_k_ref, vecmat_q2_k_avx2, vecmat_q2_k_avx512;
extern const Int8Kernels q2_k_int8_avx2, q2_k_int8_avx512vnni;

ImplList<ToF32Fn> q2_k_to_f32_impls();
ImplList<MatmulFn> matmul_q2_k_impls();
ImplList<VecmatFn> vecmat_q2_k_impls();
ImplList<const Int8Kernels> q2_k_int8_impls();

}  // namespace ponder::kernels
