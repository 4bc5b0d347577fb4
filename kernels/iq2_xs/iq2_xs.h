// IQ2_XS, a block type of GGUF (ggml-common.h): 256 weights in 74 bytes, little endian.
//   d f16; 32 u16: nine bits, the number of eight weights in the code book, and seven signs; eight bytes: scales of
//   16 weights each, four bits. W = d (scale + 1/2) / 4 (+-) book.
// Contracts: convert.h, matmul_f32.h, vecmat_f32.h, int8_panel.h; rows are whole blocks, and so n and n_in.
#pragma once

#include "kernels/base/block_kernels.h"

namespace ponder::kernels {

ToF32Fn iq2_xs_to_f32_ref, iq2_xs_to_f32_avx2, iq2_xs_to_f32_avx512;
MatmulFn matmul_iq2_xs_ref, matmul_iq2_xs_avx2, matmul_iq2_xs_avx512;
VecmatFn vecmat_iq2_xs_ref, vecmat_iq2_xs_avx2, vecmat_iq2_xs_avx512;
extern const Int8Kernels iq2_xs_int8_avx2, iq2_xs_int8_avx512vnni;

ImplList<ToF32Fn> iq2_xs_to_f32_impls();
ImplList<MatmulFn> matmul_iq2_xs_impls();
ImplList<VecmatFn> vecmat_iq2_xs_impls();
ImplList<const Int8Kernels> iq2_xs_int8_impls();

}  // namespace ponder::kernels
