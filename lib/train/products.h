// Linear layers forward and backward on many rows. f32 runs on the kernels of the forward pass, double on plain loops: the
// reference that central differences can be taken of. Work is split by shape, so results do not depend on the threads.
#pragma once

#include <cstddef>
#include <span>

#include "lib/ops/context.h"

namespace ponder::core {

// [n_rows, n_cols], rows `stride` elements apart: Tensor, of any scalar.
template <class S>
struct Matrix {
  S* data = nullptr;
  std::size_t n_rows = 0, n_cols = 0, stride = 0;

  Matrix() = default;
  Matrix(S* data_, std::size_t rows, std::size_t cols) : data(data_), n_rows(rows), n_cols(cols), stride(cols) {}
  Matrix(S* data_, std::size_t rows, std::size_t cols, std::size_t stride_)
      : data(data_), n_rows(rows), n_cols(cols), stride(stride_) {}
  S* row(std::size_t i) const { return data + i * stride; }
  Matrix rows(std::size_t first, std::size_t count) const { return {row(first), count, n_cols, stride}; }
  Matrix cols(std::size_t first, std::size_t count) const { return {data + first, n_rows, count, stride}; }
};

// One thread. y [n, m] = x [n, k] w [m, k]^T;  y [n, m] (+)= x [n, k] w [k, m].
template <class S>
void matmul_serial(const Context& ctx, const Matrix<S>& y, const Matrix<S>& x, const Matrix<S>& w);
template <class S>
void vecmat_serial(const Context& ctx, const Matrix<S>& y, const Matrix<S>& x, const Matrix<S>& w, bool accumulate);

// y [n, n_out] = x [n, n_in] w [n_out, n_in]^T + bias (null: none).
template <class S>
struct LinearRows {
  Matrix<S> y, x, w;
  const S* bias = nullptr;
};
// Independent of one another, in one parallel region.
template <class S>
void linears(const Context& ctx, std::span<const LinearRows<S>> all);

// The gradients of a LinearRows: dx (+)= dy w; dw += dy^T x; dbias += sum of the rows of dy.
template <class S>
struct LinearGrad {
  Matrix<S> dy, x, w;
  Matrix<S> dx;         // no data: not wanted
  bool add_dx = false;  // to what is there, and after the one before it in the list, whose dx may be the same
  S* dw = nullptr;      // null: the weight is frozen
  S* dbias = nullptr;
};
template <class S>
void linear_grads(const Context& ctx, std::span<const LinearGrad<S>> all);

}  // namespace ponder::core
