// Activations of one parallel region as int8, for products with block-quantised weights in fast compute.
#pragma once

#include "lib/ops/ops.h"

namespace ponder::core::ops {

// The kernels of a GGUF block type; null for other types.
const kernels::BlockKernels* block_kernels(const Context& ctx, DType type);

// Weights as kernels read them.
kernels::WeightMatrix view(const Weight& w, std::size_t row_stride_bytes);

// From so many tokens on weights are rounded to int8 panels; below, each dot unpacks them.
inline constexpr std::size_t kInt8PanelTokens = 10;

// The int8 kernels for rows of n_in and weights of this type; null where the exact kernels are to be taken.
const kernels::Int8Kernels* int8_kernels(const Context& ctx, DType type, std::size_t n_in);

// Gives every product that int8 kernels can take its units (ctx.int8_units) and fills them. Neighbours with the same x share
// them. A product that gets none, because it has no int8 kernels or no room is left, keeps the exact kernels.
void quantize_rows(const Context& ctx, std::span<Product> products);

// y = x W^T for a few tokens on the calling thread, rows of at least 256 or of 128 (one head's); false, with nothing done,
// where the exact kernels are to be taken.
bool int8_matmul_serial(const Context& ctx, const Tensor& y, const Tensor& x, const Weight& w);

}  // namespace ponder::core::ops
