// The contract of vecmat_f32.h with f16 weights.
#pragma once

#include "kernels/vecmat_f32/vecmat_f32.h"

namespace ponder::kernels {

VecmatFn vecmat_f16_ref;
VecmatFn vecmat_f16_avx2;
VecmatFn vecmat_f16_avx512;
VecmatFn vecmat_f16_neon;

ImplList<VecmatFn> vecmat_f16_impls();

}  // namespace ponder::kernels
