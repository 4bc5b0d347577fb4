#include "kernels/softmax/softmax.h"

#include "kernels/base/neon.inl.h"
// After the lanes, which it is written in:
#include "kernels/base/softmax_simd.inl.h"

namespace ponder::kernels {

float softmax_block_neon(float* scores, std::size_t n, float scale, float* running_max, float* rescale) {
  return softmax_block_simd(scores, n, scale, running_max, rescale);
}
void softmax_row_neon(float* scores, std::size_t n) { softmax_row_simd(scores, n); }

}  // namespace ponder::kernels
