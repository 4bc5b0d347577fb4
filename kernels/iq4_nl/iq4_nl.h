// IQ4_NL, a block type of GGUF (ggml-common.h): 32 weights in 18 bytes, little endian.
//   d f16; 16 bytes: q[i] the low nibble of byte i, q[i + 16] the high one. W[i] = d value[q[i]], value a fixed table.
// Contracts: convert.h, matmul_f32.h, vecmat_f32.h, int8_panel.h; rows are whole blocks, and so n and n_in.
#pragma once

#include "kernels/base/block_kernels.h"

namespace ponder::kernels {

ToF32Fn iq4_nl_to_f32_ref, iq4_nl_to_f32_avx2, iq4_nl_to_f32_avx512;
MatmulFn matmul_iq4_nl_ref, matmul_iq4_nl_avx2, matmul_iq4_nl_avx512;
VecmatFn vecmat_iq4_nl_ref, vecmat_iq4_nl_avx2, vecmat_iq4_nl_avx512;
extern const Int8Kernels iq4_nl_int8_avx2, iq4_nl_int8_avx512vnni;

ImplList<ToF32Fn> iq4_nl_to_f32_impls();
ImplList<MatmulFn> matmul_iq4_nl_impls();
ImplList<VecmatFn> vecmat_iq4_nl_impls();
ImplList<const Int8Kernels> iq4_nl_int8_impls();

}  // namespace ponder::kernels
