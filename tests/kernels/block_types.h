// The GGUF block types with their implementations, and random matrices of each.
#pragma once

#include <string>
#include <vector>

#include "kernels/base/table.h"
#include "lib/base/dtype.h"
#include "lib/ops/kernel_samples.h"
#include "tests/kernels/kernel_test.h"

namespace ponder::kernels {

using Type = core::ops::BlockType;
using core::ops::fill_block;

inline std::vector<Type> types() { return core::ops::block_types(); }

template <class Fn>
Fn* reference(ImplList<Fn> list) {
  return list.first[list.count - 1].fn;
}
// matmul_f32 or vecmat_f32 for the same ISA.
template <class Fn>
Fn* of_isa(ImplList<Fn> list, Isa isa) {
  for (const Impl<Fn>& impl : list)
    if (impl.isa == isa) return impl.fn;
  return nullptr;
}

inline void for_each_type(const auto& body) {
  for (const Type& type : types()) {
    INFO("type " << core::dtype_name(type.type));
    body(type);
  }
}

// Rows of whole blocks, 3 bytes apart, that end where their memory ends; and the weights they stand for.
struct BlockMatrix {
  BlockMatrix(const Type& type, std::size_t n_rows, std::size_t n_cols, std::uint64_t seed)
      : row_bytes(core::row_bytes(type.type, n_cols)),
        stride(row_bytes + 3),
        bytes(n_rows == 0 ? 0 : stride * (n_rows - 1) + row_bytes, 1),
        decoded(n_rows * n_cols) {
    Random random(seed);
    for (std::size_t n = 0; n < n_rows; ++n) {
      for (std::size_t at = 0; at < row_bytes; at += core::block_bytes(type.type))
        fill_block(bytes.data() + n * stride + at, type, random);
      reference(type.to_f32)(decoded.data() + n * n_cols, bytes.data() + n * stride, n_cols);
    }
    blocks = {bytes.data(), stride, nullptr, 0, 0};
    plain = {decoded.data(), n_cols * sizeof(float), nullptr, 0, 0};
  }
  std::size_t row_bytes, stride;
  Input<unsigned char> bytes;
  Input<float> decoded;
  WeightMatrix blocks, plain;
};

}  // namespace ponder::kernels
