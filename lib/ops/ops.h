// Ops of the forward pass: shapes, threads and weight types are known here and nowhere above. Shapes were checked when the
// model was loaded and buffers sized before the pass, so ops do not fail. Work is split by shape, never by thread count.
#pragma once

#include <atomic>
#include <span>

#include "lib/base/tensor.h"
#include "lib/ops/context.h"

namespace ponder::core::ops {

// y[t, n] = sum_k x[t, k] W[n, k] (+ bias[n]); y [n_tokens, w.n_out], x [n_tokens, w.n_in]. bias may be null.
void matmul(const Context& ctx, const Tensor& y, const Tensor& x, const Weight& w, const float* bias = nullptr);

// One of several products that run in one parallel region: q, k and v of one layer, the experts of one batch.
struct Product {
  Tensor y, x;
  const Weight* w = nullptr;
  const Weight* up = nullptr;    // not null: y = silu(x W^T) * (x Up^T); `up` has the shape of `w`, bias is not used
  const float* bias = nullptr;   // [w->n_out]
  // Set by matmul_all:
  std::size_t first_task = 0;
  kernels::Int8Unit* int8 = nullptr;                // x, see int8_rows.h
  bool int8_panels = false;                         // weights become panels, else each dot unpacks them
  std::size_t first_int8_row = 0, n_int8_rows = 0;  // of the region's rows that are made
  std::span<const LowRank> low_rank = {}, up_low_rank = {};  // additions to w and up
  float* projected = nullptr;                                // of all of them, see low_rank.h
};
// Products are independent: no y may overlap another product's y or x.
void matmul_all(const Context& ctx, std::span<Product> products);

// One thread, for use inside a task: the same for one token range, and y[t, k] (+)= sum_n x[t, n] W[n, k].
void matmul_serial(const Context& ctx, const Tensor& y, const Tensor& x, const Weight& w);
void vecmat_serial(const Context& ctx, const Tensor& y, const Tensor& x, const Weight& w, bool accumulate);

// Rows [0, n_rows) of a KV block, columns from the pointer on, as a matrix of `type`.
Weight kv_rows(DType type, const std::byte* data, std::size_t n_rows, std::size_t n_cols);
void kv_matmul_serial(const Context& ctx, const Tensor& y, const Tensor& x, const Weight& rows, std::size_t row_stride_bytes);
void kv_vecmat_serial(const Context& ctx, const Tensor& y, const Tensor& x, const Weight& rows,
                      std::size_t row_stride_bytes, bool accumulate);

void rms_norm(const Context& ctx, const Tensor& y, const Tensor& x, const float* weight, double eps);
void add(const Context& ctx, const Tensor& y, const Tensor& x);  // y += x
// x += delta, then y = rms_norm(x).
void add_rms_norm(const Context& ctx, const Tensor& y, const Tensor& x, const Tensor& delta, const float* weight, double eps);

// Row i of y = row ids[i] of the embedding matrix.
void embed(const Context& ctx, const Tensor& y, const Weight& embed_tokens, std::span<const std::int32_t> ids);

// body(first, count) over all rows, several rows per task: about `row_elements` elements are touched per row.
template <class F>
void for_rows(const Context& ctx, std::size_t n_rows, std::size_t row_elements, F&& body) {
  constexpr std::size_t kElementsPerTask = 16384;  // some 10 us; the decode row of most models is one task, run in place
  const std::size_t per_task = row_elements >= kElementsPerTask ? 1 : kElementsPerTask / (row_elements + 1) + 1;
  ctx.pool->parallel_for(
      (n_rows + per_task - 1) / per_task,
      [&](std::size_t task) {
        const std::size_t first = task * per_task;
        body(first, n_rows - first < per_task ? n_rows - first : per_task);
      },
      ctx.max_threads);
}

// body(task, lane) for all tasks, at most `n_lanes` of them at a time, lane in [0, n_lanes): for tasks that need scratch
// memory, which is then sized by lanes. Which lane runs a task is left to chance.
template <class F>
void for_tasks_in_lanes(const Context& ctx, std::size_t n_tasks, std::size_t n_lanes, F&& body) {
  std::atomic<std::size_t> next{0};
  ctx.pool->parallel_for(
      n_tasks < n_lanes ? n_tasks : n_lanes,
      [&](std::size_t lane) {
        for (std::size_t task; (task = next.fetch_add(1, std::memory_order_relaxed)) < n_tasks;) body(task, lane);
      },
      ctx.max_threads);
}

}  // namespace ponder::core::ops
