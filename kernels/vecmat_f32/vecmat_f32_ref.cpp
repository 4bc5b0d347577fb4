#include "kernels/base/matmul_ref.inl.h"
#include "kernels/vecmat_f32/vecmat_f32.h"

namespace ponder::kernels {

void vecmat_f32_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                     std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                     int accumulate) {
  vecmat_reference<ReadF32>(y, y_stride, x, x_stride, *w, n_tokens, n_rows, col_begin, col_end, accumulate);
}

}  // namespace ponder::kernels
