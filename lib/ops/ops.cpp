#include "lib/ops/ops.h"

#include <algorithm>
#include <cstring>

namespace ponder::core::ops {

namespace {

constexpr std::size_t kRowsPerTask = 64;    // output rows: one task streams 64 weight rows
constexpr std::size_t kTokensPerTask = 64;  // keeps the task's activations in L2

kernels::WeightMatrix view(const Weight& w, std::size_t row_stride_bytes) {
  return {w.data + w.first_row * row_stride_bytes, row_stride_bytes, w.scale_inv, w.n_scale_cols(), w.first_row};
}

kernels::MatmulFn* matmul_kernel(const Context& ctx, DType type) {
  switch (type) {
    case DType::f16: return ctx.kernels->matmul_f16;
    case DType::bf16: return ctx.kernels->matmul_bf16;
    case DType::f8_e4m3: return ctx.kernels->matmul_fp8;
    default: return ctx.kernels->matmul_f32;
  }
}
kernels::VecmatFn* vecmat_kernel(const Context& ctx, DType type) {
  switch (type) {
    case DType::f16: return ctx.kernels->vecmat_f16;
    case DType::bf16: return ctx.kernels->vecmat_bf16;
    case DType::f8_e4m3: return ctx.kernels->vecmat_fp8;
    default: return ctx.kernels->vecmat_f32;
  }
}

}  // namespace

void matmul(const Context& ctx, const Tensor& y, const Tensor& x, const Weight& w, const float* bias) {
  const std::size_t n_tokens = x.n_rows;
  if (n_tokens == 0) return;
  const std::size_t row_tasks = (w.n_out + kRowsPerTask - 1) / kRowsPerTask;
  const std::size_t token_tasks = (n_tokens + kTokensPerTask - 1) / kTokensPerTask;
  const kernels::WeightMatrix matrix = view(w, w.row_stride_bytes());
  kernels::MatmulFn* kernel = matmul_kernel(ctx, w.type);
  ctx.pool->parallel_for(
      row_tasks * token_tasks,
      [&](std::size_t task) {
        const std::size_t row = task / token_tasks * kRowsPerTask;
        const std::size_t row_end = std::min(row + kRowsPerTask, w.n_out);
        const std::size_t first = task % token_tasks * kTokensPerTask;
        const std::size_t count = std::min(kTokensPerTask, n_tokens - first);
        kernel(y.row(first), y.stride, x.row(first), x.stride, &matrix, count, row, row_end, w.n_in);
        if (bias)
          for (std::size_t t = first; t < first + count; ++t)
            for (std::size_t n = row; n < row_end; ++n) y.row(t)[n] += bias[n];
      },
      ctx.max_threads);
}

void matmul_serial(const Context& ctx, const Tensor& y, const Tensor& x, const Weight& w) {
  kv_matmul_serial(ctx, y, x, w, w.row_stride_bytes());
}
void vecmat_serial(const Context& ctx, const Tensor& y, const Tensor& x, const Weight& w, bool accumulate) {
  kv_vecmat_serial(ctx, y, x, w, w.row_stride_bytes(), accumulate);
}

Weight kv_rows(DType type, const std::byte* data, std::size_t n_rows, std::size_t n_cols) {
  Weight w;
  w.type = type;
  w.data = data;
  w.n_out = n_rows;
  w.n_in = n_cols;
  return w;
}

void kv_matmul_serial(const Context& ctx, const Tensor& y, const Tensor& x, const Weight& rows,
                      std::size_t row_stride_bytes) {
  const kernels::WeightMatrix matrix = view(rows, row_stride_bytes);
  matmul_kernel(ctx, rows.type)(y.data, y.stride, x.data, x.stride, &matrix, x.n_rows, 0, rows.n_out, rows.n_in);
}

void kv_vecmat_serial(const Context& ctx, const Tensor& y, const Tensor& x, const Weight& rows,
                      std::size_t row_stride_bytes, bool accumulate) {
  const kernels::WeightMatrix matrix = view(rows, row_stride_bytes);
  vecmat_kernel(ctx, rows.type)(y.data, y.stride, x.data, x.stride, &matrix, x.n_rows, rows.n_out, 0, rows.n_in,
                                accumulate ? 1 : 0);
}

void kv_store(const Context& ctx, DType type, std::byte* row, const float* values, std::size_t n) {
  if (type == DType::f16)
    ctx.kernels->f32_to_f16(row, values, n);
  else if (type == DType::bf16)
    ctx.kernels->f32_to_bf16(row, values, n);
  else
    std::memcpy(row, values, n * sizeof(float));
}

void rms_norm(const Context& ctx, const Tensor& y, const Tensor& x, const float* weight, double eps) {
  ctx.pool->parallel_for(
      x.n_rows,
      [&](std::size_t t) {
        ctx.kernels->rms_norm(y.row(t), y.stride, x.row(t), x.stride, weight, 1, x.n_cols, static_cast<float>(eps));
      },
      ctx.max_threads);
}

void swiglu(const Context& ctx, const Tensor& gate, const Tensor& up) {
  ctx.pool->parallel_for(
      gate.n_rows, [&](std::size_t t) { ctx.kernels->swiglu(gate.row(t), gate.row(t), up.row(t), gate.n_cols); },
      ctx.max_threads);
}

void add(const Context& ctx, const Tensor& y, const Tensor& x) {
  for (std::size_t t = 0; t < y.n_rows; ++t) ctx.kernels->add(y.row(t), x.row(t), y.n_cols);
}

void embed(const Context& ctx, const Tensor& y, const Weight& w, std::span<const std::int32_t> ids) {
  for (std::size_t t = 0; t < ids.size(); ++t) {
    const std::byte* row = w.data + static_cast<std::size_t>(ids[t]) * w.row_stride_bytes();
    if (w.type == DType::bf16)
      ctx.kernels->bf16_to_f32(y.row(t), row, w.n_in);
    else if (w.type == DType::f16)
      ctx.kernels->f16_to_f32(y.row(t), row, w.n_in);
    else if (w.type == DType::f32)
      std::memcpy(y.row(t), row, w.n_in * sizeof(float));
    else {
      ctx.kernels->fp8_to_f32(y.row(t), row, w.n_in);
      for (std::size_t k = 0; k < w.n_in; ++k)
        y.row(t)[k] *= w.scale_inv[static_cast<std::size_t>(ids[t]) / 128 * w.n_scale_cols() + k / 128];
    }
  }
}

}  // namespace ponder::core::ops
