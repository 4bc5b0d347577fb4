// Weights of any type as f32, and f32 in any type that ponder writes. For loading and converting: unlike the ops of the
// forward pass, they may fail.
#pragma once

#include <string_view>

#include "lib/base/status.h"
#include "lib/base/tensor.h"
#include "lib/ops/context.h"

namespace ponder::core::ops {

// F32, F16, BF16 and the block types of kernels/quantize/quantize.h.
bool can_quantize(DType type);

// y [n_rows, row_bytes(type, x.n_cols)] = x, rows of whole blocks, in parallel; the same bits for any number of threads.
//   importance  [n_cols] or null, see kernels/quantize/quantize.h; finite and >= 0, not looked at for F32, F16 and BF16.
// Code::numeric names the first row and column of x that is not finite or, but for F32 and BF16, above 65504 either way,
// which f16 scales cannot hold; `what` is the tensor's name in the message, `first_row` the row of it that x begins with.
Status quantize(const Context& ctx, std::string_view what, DType type, std::byte* y, const Tensor& x,
                const float* importance, std::size_t first_row = 0);

// y [count, w.n_in] = rows [first, first + count) of w, whose data and scales are those of row 0.
void dequantize(const Context& ctx, const Tensor& y, const Weight& w, std::size_t first);

}  // namespace ponder::core::ops
