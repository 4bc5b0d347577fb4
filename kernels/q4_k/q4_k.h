// Q4_K, a block type of GGUF (ggml-common.h): 256 weights in 144 bytes, little endian.
//   d, dmin f16; 12 bytes: scales and minima of 32 weights each, six bits, see block_k4.inl.h; 128 bytes: weights
//   64 j + i (i < 32) in the low nibble of byte 32 j + i, 64 j + 32 + i in the high one. W = d scale q - dmin minimum.
// Contracts: convert.h, matmul_f32.h, vecmat_f32.h, int8_panel.h; rows are whole blocks, and so n and n_in.
#pragma once

#include "kernels/base/block_kernels.h"

namespace ponder::kernels {

ToF32Fn q4_k_to_f32_ref, q4_k_to_f32_avx2, q4_k_to_f32_avx512;
MatmulFn matmul_q4_k_ref, matmul_q4_k_avx2, matmul_q4_k_avx512;
VecmatFn vecmat_q4_k_ref, vecmat_q4_k_avx2, vecmat_q4_k_avx512;
extern const Int8Kernels q4_k_int8_avx2, q4_k_int8_avx512vnni;

ImplList<ToF32Fn> q4_k_to_f32_impls();
ImplList<MatmulFn> matmul_q4_k_impls();
ImplList<VecmatFn> vecmat_q4_k_impls();
ImplList<const Int8Kernels> q4_k_int8_impls();

}  // namespace ponder::kernels
