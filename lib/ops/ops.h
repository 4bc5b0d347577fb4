// Ops of the forward pass: shapes, threads and weight types are known here and nowhere above. Shapes were checked when the
// model was loaded and buffers sized before the pass, so ops do not fail. Work is split by shape, never by thread count.
#pragma once

#include <span>

#include "lib/base/tensor.h"
#include "lib/ops/context.h"

namespace ponder::core::ops {

// y[t, n] = sum_k x[t, k] W[n, k] (+ bias[n]); y [n_tokens, w.n_out], x [n_tokens, w.n_in]. bias may be null.
void matmul(const Context& ctx, const Tensor& y, const Tensor& x, const Weight& w, const float* bias = nullptr);

// One thread, for use inside a task: the same for one token range, and y[t, k] (+)= sum_n x[t, n] W[n, k].
void matmul_serial(const Context& ctx, const Tensor& y, const Tensor& x, const Weight& w);
void vecmat_serial(const Context& ctx, const Tensor& y, const Tensor& x, const Weight& w, bool accumulate);

// Rows [0, n_rows) of a KV block, columns from the pointer on, as a matrix of `type`.
Weight kv_rows(DType type, const std::byte* data, std::size_t n_rows, std::size_t n_cols);
void kv_matmul_serial(const Context& ctx, const Tensor& y, const Tensor& x, const Weight& rows, std::size_t row_stride_bytes);
void kv_vecmat_serial(const Context& ctx, const Tensor& y, const Tensor& x, const Weight& rows,
                      std::size_t row_stride_bytes, bool accumulate);
void kv_store(const Context& ctx, DType type, std::byte* row, const float* values, std::size_t n);

void rms_norm(const Context& ctx, const Tensor& y, const Tensor& x, const float* weight, double eps);
void swiglu(const Context& ctx, const Tensor& gate, const Tensor& up);  // gate = silu(gate) * up
void add(const Context& ctx, const Tensor& y, const Tensor& x);         // y += x

// Row i of y = row ids[i] of the embedding matrix.
void embed(const Context& ctx, const Tensor& y, const Weight& embed_tokens, std::span<const std::int32_t> ids);

}  // namespace ponder::core::ops
