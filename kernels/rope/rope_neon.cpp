#include "kernels/rope/rope.h"

#include "kernels/base/neon.inl.h"
// After the lanes, which it is written in:
#include "kernels/base/elementwise_simd.inl.h"

namespace ponder::kernels {

void rope_interleaved_neon(float* x, std::size_t head_stride, const float* cos, const float* sin, std::size_t n_heads,
                           std::size_t n_dims) {
  rope_interleaved_simd(x, head_stride, cos, sin, n_heads, n_dims);
}
void rope_half_neon(float* x, std::size_t head_stride, const float* cos, const float* sin, std::size_t n_heads,
                    std::size_t n_dims) {
  rope_half_simd(x, head_stride, cos, sin, n_heads, n_dims);
}

}  // namespace ponder::kernels
