// The weight matrix that the matmul kernels read, as plain data: files compiled per ISA see nothing of lib/.
#pragma once

#include <cstddef>

namespace ponder::kernels {

// W[n, k], row-major, rows `row_stride_bytes` apart. No alignment may be assumed beyond 1 byte.
// f8_e4m3 only: W[n, k] = f32(byte) * scale_inv[(first_row + n) / 128 * scale_stride + k / 128], where n counts from
// the row that `data` points at, and first_row is that row's number in the whole matrix.
struct WeightMatrix {
  const void* data;
  std::size_t row_stride_bytes;
  const float* scale_inv;
  std::size_t scale_stride;
  std::size_t first_row;
};

}  // namespace ponder::kernels
