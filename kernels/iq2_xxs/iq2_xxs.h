// IQ2_XXS, a block type of GGUF (ggml-common.h): 256 weights in 66 bytes, little endian.
//   d f16; eight times four bytes, the numbers of eight weights each in the code book, and a u32: four times seven
//   signs, and a scale of 32 weights in the highest four bits. W = d (scale + 1/2) / 4 (+-) book.
// Contracts: convert.h, matmul_f32.h, vecmat_f32.h, int8_panel.h; rows are whole blocks, and so n and n_in.
#pragma once

#include "kernels/base/block_kernels.h"

namespace ponder::kernels {

ToF32Fn iq2_xxs_to_f32_ref, iq2_xxs_to_f32_avx2, iq2_xxs_to_f32_avx512;
MatmulFn matmul_iq2_xxs_ref, matmul_iq2_xxs_avx2, matmul_iq2_xxs_avx512;
VecmatFn vecmat_iq2_xxs_ref, vecmat_iq2_xxs_avx2, vecmat_iq2_xxs_avx512;
extern const Int8Kernels iq2_xxs_int8_avx2, iq2_xxs_int8_avx512vnni;

ImplList<ToF32Fn> iq2_xxs_to_f32_impls();
ImplList<MatmulFn> matmul_iq2_xxs_impls();
ImplList<VecmatFn> vecmat_iq2_xxs_impls();
ImplList<const Int8Kernels> iq2_xxs_int8_impls();

}  // namespace ponder::kernels
