// y[t, i] = x[t, i] / sqrt(mean_i(x[t, i]^2) + eps) * weight[i]
//   x, y    [n_tokens, hidden_size]  f32, rows x_stride / y_stride elements apart; y may be x; no alignment needed
//   weight  [hidden_size]            f32
//   eps     config "rms_norm_eps", e.g. 1e-6
// Within 1e-5 relative of rms_norm_ref, which sums in f64.
#pragma once

#include "kernels/base/impl.h"

namespace ponder::kernels {

using RmsNormFn = void(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const float* weight,
                       std::size_t n_tokens, std::size_t hidden_size, float eps);

RmsNormFn rms_norm_ref;
RmsNormFn rms_norm_avx2;
RmsNormFn rms_norm_avx512;
RmsNormFn rms_norm_neon;

ImplList<RmsNormFn> rms_norm_impls();

}  // namespace ponder::kernels
