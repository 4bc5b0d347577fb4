#include "kernels/convert/convert.h"

#include "kernels/base/neon.inl.h"
// After the lanes, which it is written in:
#include "kernels/base/elementwise_simd.inl.h"

namespace ponder::kernels {

void bf16_to_f32_neon(float* y, const void* x, std::size_t n) { to_f32_simd<StoredBf16>(y, x, n); }
void f16_to_f32_neon(float* y, const void* x, std::size_t n) { to_f32_simd<StoredF16>(y, x, n); }
void fp8_to_f32_neon(float* y, const void* x, std::size_t n) { to_f32_simd<StoredFp8>(y, x, n); }
void f32_to_bf16_neon(void* y, const float* x, std::size_t n) { from_f32_simd<ToBf16>(y, x, n); }
void f32_to_f16_neon(void* y, const float* x, std::size_t n) { from_f32_simd<ToF16>(y, x, n); }
void add_neon(float* y, const float* x, std::size_t n) { add_simd(y, x, n); }
void scale_add_neon(float* y, const float* x, float a, std::size_t n) { scale_add_simd(y, x, a, n); }

}  // namespace ponder::kernels
