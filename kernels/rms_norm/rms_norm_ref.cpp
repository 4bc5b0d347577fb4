#include "kernels/rms_norm/rms_norm.h"

#include <cmath>

namespace ponder::kernels {

void rms_norm_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const float* weight,
                  std::size_t n_tokens, std::size_t hidden_size, float eps) {
  for (std::size_t t = 0; t < n_tokens; ++t) {
    const float* in = x + t * x_stride;
    float* out = y + t * y_stride;
    double sum = 0;
    for (std::size_t i = 0; i < hidden_size; ++i) sum += double{in[i]} * double{in[i]};
    const double factor = 1.0 / std::sqrt(sum / static_cast<double>(hidden_size) + double{eps});
    for (std::size_t i = 0; i < hidden_size; ++i) out[i] = static_cast<float>(double{in[i]} * factor * double{weight[i]});
  }
}

}  // namespace ponder::kernels
