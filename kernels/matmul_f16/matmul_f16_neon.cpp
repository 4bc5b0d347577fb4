#include "kernels/matmul_f16/matmul_f16.h"

#include "kernels/base/neon.inl.h"
// After the lanes, which it is written in:
#include "kernels/base/matmul_simd.inl.h"

namespace ponder::kernels {

void matmul_f16_neon(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                     std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_simd<StoredF16>(y, y_stride, x, x_stride, *w, n_tokens, row_begin, row_end, n_in);
}

}  // namespace ponder::kernels
