// IQ1_M, a block type of GGUF (ggml-common.h): 256 weights in 56 bytes, little endian.
//   32 bytes: the low eight bits of the numbers of eight weights each in the code book; 16 bytes: per number a nibble
//   of its three high bits and, above, the sign of the shift; four u16: scales of 16 weights each, three bits, and in
//   their highest four bits d f16, the lowest first. W = d (2 scale + 1) (book +- 1/8).
// Contracts: convert.h, matmul_f32.h, vecmat_f32.h, int8_panel.h; rows are whole blocks, and so n and n_in.
#pragma once

#include "kernels/base/block_kernels.h"

namespace ponder::kernels {

ToF32Fn iq1_m_to_f32_ref, iq1_m_to_f32_avx2, iq1_m_to_f32_avx512;
MatmulFn matmul_iq1_m_ref, matmul_iq1_m_avx2, matmul_iq1_m_avx512;
VecmatFn vecmat_iq1_m_ref, vecmat_iq1_m_avx2, vecmat_iq1_m_avx512;
extern const Int8Kernels iq1_m_int8_avx2, iq1_m_int8_avx512vnni;

ImplList<ToF32Fn> iq1_m_to_f32_impls();
ImplList<MatmulFn> matmul_iq1_m_impls();
ImplList<VecmatFn> vecmat_iq1_m_impls();
ImplList<const Int8Kernels> iq1_m_int8_impls();

}  // namespace ponder::kernels
