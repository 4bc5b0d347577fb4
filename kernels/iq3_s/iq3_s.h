// IQ3_S, a block type of GGUF (ggml-common.h): 256 weights in 110 bytes, little endian.
//   d f16; 64 bytes: the low eight bits of the numbers of four weights each in the code book; eight bytes: the high
//   bits of eight numbers each; 32 bytes of signs; four bytes: scales of 32 weights each, four bits. W = d (2 scale +
//   1) (+-) book.
// Contracts: convert.h, matmul_f32.h, vecmat_f32.h, int8_panel.h; rows are whole blocks, and so n and n_in.
#pragma once

#include "kernels/base/block_kernels.h"

namespace ponder::kernels {

ToF32Fn iq3_s_to_f32_ref, iq3_s_to_f32_avx2, iq3_s_to_f32_avx512;
MatmulFn matmul_iq3_s_ref, matmul_iq3_s_avx2, matmul_iq3_s_avx512;
VecmatFn vecmat_iq3_s_ref, vecmat_iq3_s_avx2, vecmat_iq3_s_avx512;
extern const Int8Kernels iq3_s_int8_avx2, iq3_s_int8_avx512vnni;

ImplList<ToF32Fn> iq3_s_to_f32_impls();
ImplList<MatmulFn> matmul_iq3_s_impls();
ImplList<VecmatFn> vecmat_iq3_s_impls();
ImplList<const Int8Kernels> iq3_s_int8_impls();

}  // namespace ponder::kernels
