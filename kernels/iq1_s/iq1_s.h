// IQ1_S, a block type of GGUF (ggml-common.h): 256 weights in 50 bytes, little endian.
//   d f16; 32 bytes: the low eight bits of the numbers of eight weights each in the code book; eight u16: the three
//   high bits of four numbers, a scale of 32 weights in bits 12 .. 14, and in bit 15 the sign of the shift. W = d (2
//   scale + 1) (book +- 1/8).
// Contracts: convert.h, matmul_f32.h, vecmat_f32.h, int8_panel.h; rows are whole blocks, and so n and n_in.
#pragma once

#include "kernels/base/block_kernels.h"

namespace ponder::kernels {

ToF32Fn iq1_s_to_f32_ref, iq1_s_to_f32_avx2, iq1_s_to_f32_avx512;
MatmulFn matmul_iq1_s_ref, matmul_iq1_s_avx2, matmul_iq1_s_avx512;
VecmatFn vecmat_iq1_s_ref, vecmat_iq1_s_avx2, vecmat_iq1_s_avx512;
extern const Int8Kernels iq1_s_int8_avx2, iq1_s_int8_avx512vnni;

ImplList<ToF32Fn> iq1_s_to_f32_impls();
ImplList<MatmulFn> matmul_iq1_s_impls();
ImplList<VecmatFn> vecmat_iq1_s_impls();
ImplList<const Int8Kernels> iq1_s_int8_impls();

}  // namespace ponder::kernels
