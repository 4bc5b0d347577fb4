#include "kernels/rope/rope.h"

namespace ponder::kernels {

namespace {
void rotate(float& a, float& b, float cos, float sin) {
  const double a0 = a, b0 = b;
  a = static_cast<float>(a0 * double{cos} - b0 * double{sin});
  b = static_cast<float>(b0 * double{cos} + a0 * double{sin});
}
}  // namespace

void rope_interleaved_ref(float* x, std::size_t head_stride, const float* cos, const float* sin, std::size_t n_heads,
                          std::size_t n_dims) {
  for (std::size_t h = 0; h < n_heads; ++h)
    for (std::size_t i = 0; i < n_dims / 2; ++i)
      rotate(x[h * head_stride + 2 * i], x[h * head_stride + 2 * i + 1], cos[i], sin[i]);
}

void rope_half_ref(float* x, std::size_t head_stride, const float* cos, const float* sin, std::size_t n_heads,
                   std::size_t n_dims) {
  for (std::size_t h = 0; h < n_heads; ++h)
    for (std::size_t i = 0; i < n_dims / 2; ++i)
      rotate(x[h * head_stride + i], x[h * head_stride + i + n_dims / 2], cos[i], sin[i]);
}

}  // namespace ponder::kernels
