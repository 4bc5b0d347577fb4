// y[i] = silu(gate[i]) * up[i],  silu(g) = g / (1 + exp(-g))
//   y, gate, up  [n]  f32; y may be gate or up
// The bits of y[i] depend on gate[i] and up[i] alone. Within 1e-6 relative of swiglu_ref (f64 inside).
#pragma once

#include "kernels/base/impl.h"

namespace ponder::kernels {

using SwigluFn = void(float* y, const float* gate, const float* up, std::size_t n);

SwigluFn swiglu_ref;
SwigluFn swiglu_avx2;
SwigluFn swiglu_avx512;
SwigluFn swiglu_neon;

ImplList<SwigluFn> swiglu_impls();

}  // namespace ponder::kernels
