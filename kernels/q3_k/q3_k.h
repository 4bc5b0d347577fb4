// Q3_K, a block type of GGUF (ggml-common.h): 256 weights in 110 bytes, little endian.
//   32 bytes of high bits; 64 bytes of two low bits; 12 bytes: 16 scales of six bits; d f16. Weights 128 n + 32 j + i
//   (i < 32) have bits 2 j, 2 j + 1 of byte 32 n + i below bit 4 n + j of high byte i. Scale g: the low four bits in
//   nibble g / 8 of byte g % 8, the two above in bits 2 (g / 4) of byte 8 + g % 4. W = d (scale - 32) (q - 4).
// Contracts: convert.h, matmul_f32.h, vecmat_f32.h, int8_panel.h; rows are whole blocks, and so n and n_in.
#pragma once

#include "kernels/base/block_kernels.h"

namespace ponder::kernels {

ToF32Fn q3_k_to_f32_ref, q3_k_to_f32_avx2, q3_k_to_f32_avx512;
MatmulFn matmul_q3_k_ref, matmul_q3_k_avx2, matmul_q3_k_avx512;
VecmatFn vecmat_q3_k_ref, vecmat_q3_k_avx2, vecmat_q3_k_avx512;
extern const Int8Kernels q3_k_int8_avx2, q3_k_int8_avx512vnni;

ImplList<ToF32Fn> q3_k_to_f32_impls();
ImplList<MatmulFn> matmul_q3_k_impls();
ImplList<VecmatFn> vecmat_q3_k_impls();
ImplList<const Int8Kernels> q3_k_int8_impls();

}  // namespace ponder::kernels
