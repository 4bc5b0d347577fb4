// IQ4_XS, a block type of GGUF (ggml-common.h): 256 weights in 136 bytes, little endian.
//   d f16; u16 and 4 bytes: eight scales, the two high bits of scale g in bits 2 g of the u16, the low four in nibble
//   g % 2 of byte g / 2; then eight times 16 bytes as IQ4_NL. W = d (scale - 32) value[q].
// Contracts: convert.h, matmul_f32.h, vecmat_f32.h, int8_panel.h; rows are whole blocks, and so n and n_in.
#pragma once

#include "kernels/base/block_kernels.h"

namespace ponder::kernels {

ToF32Fn iq4_xs_to_f32_ref, iq4_xs_to_f32_avx2, iq4_xs_to_f32_avx512;
MatmulFn matmul_iq4_xs_ref, matmul_iq4_xs_avx2, matmul_iq4_xs_avx512;
VecmatFn vecmat_iq4_xs_ref, vecmat_iq4_xs_avx2, vecmat_iq4_xs_avx512;
extern const Int8Kernels iq4_xs_int8_avx2, iq4_xs_int8_avx512vnni;

ImplList<ToF32Fn> iq4_xs_to_f32_impls();
ImplList<MatmulFn> matmul_iq4_xs_impls();
ImplList<VecmatFn> vecmat_iq4_xs_impls();
ImplList<const Int8Kernels> iq4_xs_int8_impls();

}  // namespace ponder::kernels
