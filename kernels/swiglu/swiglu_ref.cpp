#include "kernels/swiglu/swiglu.h"

#include <cmath>

namespace ponder::kernels {

void swiglu_ref(float* y, const float* gate, const float* up, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    const double g = gate[i];
    y[i] = static_cast<float>(g / (1.0 + std::exp(-g)) * double{up[i]});
  }
}

}  // namespace ponder::kernels
