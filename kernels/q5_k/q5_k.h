// Q5_K, a block type of GGUF (ggml-common.h): 256 weights in 176 bytes, little endian.
//   d, dmin f16; 12 bytes: scales and minima of 32 weights each, six bits, see block_k4.inl.h; 32 bytes of high bits;
//   128 bytes: weights 64 j + i (i < 32) have the low nibble of byte 32 j + i, 64 j + 32 + i the high one; weight 32
//   g + i has bit g of high byte i above. W = d scale q - dmin minimum.
// Contracts: convert.h, matmul_f32.h, vecmat_f32.h, int8_panel.h; rows are whole blocks, and so n and n_in.
#pragma once

#include "kernels/base/block_kernels.h"

namespace ponder::kernels {

ToF32Fn q5_k_to_f32_ref, q5_k_to_f32_avx2, q5_k_to_f32_avx512;
MatmulFn matmul_q5_k_ref, matmul_q5_k_avx2, matmul_q5_k_avx512;
VecmatFn vecmat_q5_k_ref, vecmat_q5_k_avx2, vecmat_q5_k_avx512;
extern const Int8Kernels q5_k_int8_avx2, q5_k_int8_avx512vnni;

ImplList<ToF32Fn> q5_k_to_f32_impls();
ImplList<MatmulFn> matmul_q5_k_impls();
ImplList<VecmatFn> vecmat_q5_k_impls();
ImplList<const Int8Kernels> q5_k_int8_impls();

}  // namespace ponder::kernels
