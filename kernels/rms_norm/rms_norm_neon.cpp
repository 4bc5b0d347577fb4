#include "kernels/rms_norm/rms_norm.h"

#include "kernels/base/neon.inl.h"
// After the lanes, which it is written in:
#include "kernels/base/elementwise_simd.inl.h"

namespace ponder::kernels {

void rms_norm_neon(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const float* weight,
                   std::size_t n_tokens, std::size_t hidden_size, float eps) {
  rms_norm_simd(y, y_stride, x, x_stride, weight, n_tokens, hidden_size, eps);
}

}  // namespace ponder::kernels
