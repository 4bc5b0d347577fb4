// IQ3_XXS, a block type of GGUF (ggml-common.h): 256 weights in 98 bytes, little endian.
//   d f16; 64 bytes: the numbers of four weights each in the code book; eight u32: four times seven signs, and a
//   scale of 32 weights in the highest four bits. W = d (scale + 1/2) / 2 (+-) book.
// Contracts: convert.h, matmul_f32.h, vecmat_f32.h, int8_panel.h; rows are whole blocks, and so n and n_in.
#pragma once

#include "kernels/base/block_kernels.h"

namespace ponder::kernels {

ToF32Fn iq3_xxs_to_f32_ref, iq3_xxs_to_f32_avx2, iq3_xxs_to_f32_avx512;
MatmulFn matmul_iq3_xxs_ref, matmul_iq3_xxs_avx2, matmul_iq3_xxs_avx512;
VecmatFn vecmat_iq3_xxs_ref, vecmat_iq3_xxs_avx2, vecmat_iq3_xxs_avx512;
extern const Int8Kernels iq3_xxs_int8_avx2, iq3_xxs_int8_avx512vnni;

ImplList<ToF32Fn> iq3_xxs_to_f32_impls();
ImplList<MatmulFn> matmul_iq3_xxs_impls();
ImplList<VecmatFn> vecmat_iq3_xxs_impls();
ImplList<const Int8Kernels> iq3_xxs_int8_impls();

}  // namespace ponder::kernels
