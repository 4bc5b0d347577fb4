#include "kernels/base/matmul_ref.inl.h"
#include "kernels/matmul_f32/matmul_f32.h"

namespace ponder::kernels {

void matmul_f32_ref(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                     std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_reference<ReadF32>(y, y_stride, x, x_stride, *w, n_tokens, row_begin, row_end, n_in);
}

}  // namespace ponder::kernels
