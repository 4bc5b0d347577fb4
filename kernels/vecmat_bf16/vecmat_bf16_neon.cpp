#include "kernels/vecmat_bf16/vecmat_bf16.h"

#include "kernels/base/neon.inl.h"
// After the lanes, which it is written in:
#include "kernels/base/vecmat_simd.inl.h"

namespace ponder::kernels {

void vecmat_bf16_neon(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                     std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                     int accumulate) {
  vecmat_simd<StoredBf16>(y, y_stride, x, x_stride, *w, n_tokens, n_rows, col_begin, col_end, accumulate);
}

}  // namespace ponder::kernels
