// The contract of vecmat_f32.h with bf16 weights.
#pragma once

#include "kernels/vecmat_f32/vecmat_f32.h"

namespace ponder::kernels {

VecmatFn vecmat_bf16_ref;
VecmatFn vecmat_bf16_avx2;
VecmatFn vecmat_bf16_avx512;
VecmatFn vecmat_bf16_neon;

ImplList<VecmatFn> vecmat_bf16_impls();

}  // namespace ponder::kernels
