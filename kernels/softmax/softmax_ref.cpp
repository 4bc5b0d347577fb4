#include "kernels/softmax/softmax.h"

#include <cmath>

namespace ponder::kernels {

float softmax_block_ref(float* scores, std::size_t n, float scale, float* running_max, float* rescale) {
  const float old_max = *running_max;
  float new_max = old_max;
  for (std::size_t i = 0; i < n; ++i) {
    scores[i] *= scale;
    if (scores[i] > new_max) new_max = scores[i];
  }
  const bool nothing = new_max == -INFINITY;  // every score so far is -inf (or NaN, which must show in the sum)
  *rescale = old_max == new_max ? 1.0f
             : old_max == -INFINITY ? 0.0f
                                    : static_cast<float>(std::exp(double{old_max} - double{new_max}));
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double p = nothing ? (std::isnan(scores[i]) ? double{scores[i]} : 0.0)
                             : std::exp(double{scores[i]} - double{new_max});
    scores[i] = static_cast<float>(p);
    sum += p;
  }
  *running_max = new_max;
  return static_cast<float>(sum);
}

void softmax_row_ref(float* scores, std::size_t n) {
  float max = -INFINITY;
  for (std::size_t i = 0; i < n; ++i)
    if (scores[i] > max) max = scores[i];
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += std::exp(double{scores[i]} - double{max});
  for (std::size_t i = 0; i < n; ++i) scores[i] = static_cast<float>(std::exp(double{scores[i]} - double{max}) / sum);
}

}  // namespace ponder::kernels
