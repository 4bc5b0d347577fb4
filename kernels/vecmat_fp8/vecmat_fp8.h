// The contract of vecmat_f32.h with fp8 weights.
#pragma once

#include "kernels/vecmat_f32/vecmat_f32.h"

namespace ponder::kernels {

VecmatFn vecmat_fp8_ref;
VecmatFn vecmat_fp8_avx2;
VecmatFn vecmat_fp8_avx512;
VecmatFn vecmat_fp8_neon;

ImplList<VecmatFn> vecmat_fp8_impls();

}  // namespace ponder::kernels
