// Q6_K, a block type of GGUF (ggml-common.h): 256 weights in 210 bytes, little endian.
//   128 bytes of low nibbles; 64 bytes of two high bits; 16 scales i8 of 16 weights each; d f16. Weights 128 n + 32 j
//   + i (i < 32) have nibble j / 2 of byte 64 n + 32 (j % 2) + i, and bits 2 j, 2 j + 1 of high byte 32 n + i. W = d
//   scale (q - 32).
// Contracts: convert.h, matmul_f32.h, vecmat_f32.h, int8_panel.h; rows are whole blocks, and so n and n_in.
#pragma once

#include "kernels/base/block_kernels.h"

namespace ponder::kernels {

ToF32Fn q6_k_to_f32_ref, q6_k_to_f32_avx2, q6_k_to_f32_avx512;
MatmulFn matmul_q6_k_ref, matmul_q6_k_avx2, matmul_q6_k_avx512;
VecmatFn vecmat_q6_k_ref, vecmat_q6_k_avx2, vecmat_q6_k_avx512;
extern const Int8Kernels q6_k_int8_avx2, q6_k_int8_avx512vnni;

ImplList<ToF32Fn> q6_k_to_f32_impls();
ImplList<MatmulFn> matmul_q6_k_impls();
ImplList<VecmatFn> vecmat_q6_k_impls();
ImplList<const Int8Kernels> q6_k_int8_impls();

}  // namespace ponder::kernels
