// Views on tensors. Nothing here owns memory: activations live in Buffers (lib/base/buffer.h), weights in mapped files.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "lib/base/dtype.h"

namespace ponder::core {

// Row-major shape, last index contiguous; at most four dimensions. An empty shape is a scalar.
class Shape {
 public:
  static constexpr std::size_t kMaxDims = 4;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims) {
    for (std::int64_t dim : dims) push_back(dim);
  }
  // Ignored past kMaxDims: readers check n_dims of the file before they build a Shape.
  void push_back(std::int64_t dim) {
    if (n_dims_ < kMaxDims) dims_[n_dims_++] = dim;
  }
  std::size_t n_dims() const { return n_dims_; }
  std::int64_t operator[](std::size_t i) const { return dims_[i]; }
  std::int64_t n_elements() const {
    std::int64_t n = 1;
    for (std::size_t i = 0; i < n_dims_; ++i) n *= dims_[i];
    return n;
  }
  bool operator==(const Shape& other) const {
    if (n_dims_ != other.n_dims_) return false;
    for (std::size_t i = 0; i < n_dims_; ++i)
      if (dims_[i] != other.dims_[i]) return false;
    return true;
  }
  std::string to_string() const {  // "[160, 5120]"
    std::string text = "[";
    for (std::size_t i = 0; i < n_dims_; ++i) text += (i ? ", " : "") + std::to_string(dims_[i]);
    return text + "]";
  }

 private:
  std::array<std::int64_t, kMaxDims> dims_{};
  std::size_t n_dims_ = 0;
};

// An f32 activation matrix [n_rows, n_cols]; `stride` elements lie between two rows (>= n_cols).
struct Tensor {
  float* data = nullptr;
  std::size_t n_rows = 0;
  std::size_t n_cols = 0;
  std::size_t stride = 0;

  Tensor() = default;
  Tensor(float* data_, std::size_t rows, std::size_t cols) : data(data_), n_rows(rows), n_cols(cols), stride(cols) {}
  Tensor(float* data_, std::size_t rows, std::size_t cols, std::size_t stride_)
      : data(data_), n_rows(rows), n_cols(cols), stride(stride_) {}

  float* row(std::size_t i) const { return data + i * stride; }
  std::span<float> row_span(std::size_t i) const { return {row(i), n_cols}; }
  Tensor rows(std::size_t first, std::size_t count) const { return {row(first), count, n_cols, stride}; }
  Tensor cols(std::size_t first, std::size_t count) const { return {data + first, n_rows, count, stride}; }
};

// A weight matrix [n_out, n_in] as it is stored: y = x W^T. The memory belongs to the model (usually a mapped file).
struct Weight {
  DType type = DType::f32;
  const std::byte* data = nullptr;  // no alignment beyond the element's own may be assumed (safetensors gives 1 byte)
  std::size_t n_out = 0;
  std::size_t n_in = 0;
  // f8_e4m3 only: W[i, j] = f32(data[i, j]) * scale_inv[i / 128, j / 128]; [ceil(n_out/128), ceil(n_in/128)] f32.
  const float* scale_inv = nullptr;

  bool empty() const { return data == nullptr; }
  std::size_t row_stride_bytes() const { return row_bytes(type, n_in); }
  std::size_t n_scale_cols() const { return (n_in + 127) / 128; }
  // Rows [first, first + count), e.g. one head of kv_b_proj. f8_e4m3: scales are found by absolute row, so `first_row`
  // travels along and `data`, `scale_inv` keep pointing at row 0 of the whole matrix.
  Weight rows(std::size_t first, std::size_t count) const {
    Weight part = *this;
    part.first_row = first_row + first;
    part.n_out = count;
    return part;
  }
  std::size_t first_row = 0;
};

}  // namespace ponder::core
