// The definition of matmul and vecmat for every storage type: sums in f64.
#pragma once

#include "kernels/base/convert_scalar.inl.h"
#include "kernels/base/matrix.h"

namespace ponder::kernels {
namespace {

inline double block_scale(const WeightMatrix& w, std::size_t n, std::size_t k) {
  return w.scale_inv ? double{w.scale_inv[(w.first_row + n) / 128 * w.scale_stride + k / 128]} : 1.0;
}

template <class Read>
[[maybe_unused]] void matmul_reference(float* y, std::size_t y_stride, const float* x, std::size_t x_stride,
                                       const WeightMatrix& w, std::size_t n_tokens, std::size_t row_begin,
                                       std::size_t row_end, std::size_t n_in) {
  const auto* data = static_cast<const unsigned char*>(w.data);
  for (std::size_t t = 0; t < n_tokens; ++t)
    for (std::size_t n = row_begin; n < row_end; ++n) {
      double sum = 0;
      for (std::size_t k = 0; k < n_in; ++k)
        sum += double{x[t * x_stride + k]} * (double{Read::at(data + n * w.row_stride_bytes, k)} * block_scale(w, n, k));
      y[t * y_stride + n] = static_cast<float>(sum);
    }
}

template <class Read>
[[maybe_unused]] void vecmat_reference(float* y, std::size_t y_stride, const float* x, std::size_t x_stride,
                                       const WeightMatrix& w, std::size_t n_tokens, std::size_t n_rows,
                                       std::size_t col_begin, std::size_t col_end, int accumulate) {
  const auto* data = static_cast<const unsigned char*>(w.data);
  for (std::size_t t = 0; t < n_tokens; ++t)
    for (std::size_t k = col_begin; k < col_end; ++k) {
      double sum = accumulate ? double{y[t * y_stride + k]} : 0.0;
      for (std::size_t n = 0; n < n_rows; ++n)
        sum += double{x[t * x_stride + n]} * (double{Read::at(data + n * w.row_stride_bytes, k)} * block_scale(w, n, k));
      y[t * y_stride + k] = static_cast<float>(sum);
    }
}

}  // namespace
}  // namespace ponder::kernels
