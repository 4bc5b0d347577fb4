// Row conversions between storage types and f32, and two elementwise helpers of the residual stream.
//   to_f32:   y[i] = f32(x[i]);  from_f32: y[i] = type(x[i]), ties to even, f16 overflow to infinity
//   x, y  [n], no alignment needed. Exact: every implementation equals the reference bit for bit (NaN stays NaN).
// add:       y[i] += x[i]        scale_add: y[i] += a * x[i] (one fused multiply-add; the reference uses std::fma)
#pragma once

#include "kernels/base/impl.h"

namespace ponder::kernels {

using ToF32Fn = void(float* y, const void* x, std::size_t n);
using FromF32Fn = void(void* y, const float* x, std::size_t n);
using AddFn = void(float* y, const float* x, std::size_t n);
using ScaleAddFn = void(float* y, const float* x, float a, std::size_t n);

ToF32Fn bf16_to_f32_ref, bf16_to_f32_avx2, bf16_to_f32_avx512, bf16_to_f32_neon;
ToF32Fn f16_to_f32_ref, f16_to_f32_avx2, f16_to_f32_avx512, f16_to_f32_neon;
ToF32Fn fp8_to_f32_ref, fp8_to_f32_avx2, fp8_to_f32_avx512, fp8_to_f32_neon;  // without block scales
FromF32Fn f32_to_bf16_ref, f32_to_bf16_avx2, f32_to_bf16_avx512, f32_to_bf16_neon;
FromF32Fn f32_to_f16_ref, f32_to_f16_avx2, f32_to_f16_avx512, f32_to_f16_neon;
AddFn add_ref, add_avx2, add_avx512, add_neon;
ScaleAddFn scale_add_ref, scale_add_avx2, scale_add_avx512, scale_add_neon;

ImplList<ToF32Fn> bf16_to_f32_impls();
ImplList<ToF32Fn> f16_to_f32_impls();
ImplList<ToF32Fn> fp8_to_f32_impls();
ImplList<FromF32Fn> f32_to_bf16_impls();
ImplList<FromF32Fn> f32_to_f16_impls();
ImplList<AddFn> add_impls();
ImplList<ScaleAddFn> scale_add_impls();

}  // namespace ponder::kernels
