#include "lib/ops/ops.h"

#include <algorithm>
#include <cstring>

#include "lib/ops/int8_rows.h"

namespace ponder::core::ops {

namespace {

// One task reads about this many bytes of weights: some 20 us from memory, so that the last task of a region is short,
// and a matrix of a tiny model is one task, which wakes no thread.
constexpr std::size_t kTaskWeightBytes = 256 * 1024;
constexpr std::size_t kMinRowsPerTask = 16;
constexpr std::size_t kTokensPerTask = 48;  // one block of the exact matmul kernels; the activations stay in L2
// The fast kernels copy the activations of a task once for all its rows, and take up to 96 tokens at a time.
constexpr std::size_t kFastTokensPerTask = 96;
constexpr std::size_t kFastRowsPerTask = 128;
// From this many tokens on they are the faster ones: with 8, 96 against 86 GFLOP/s for bf16 and 61 against 63 for fp8 (one
// thread of Sapphire Rapids); with 4, fp8 is slower by a quarter.
constexpr std::size_t kFastTokens = 8;
constexpr std::size_t kOnednnTokens = 32;  // below, setting up a product costs more than it saves
constexpr std::size_t kInt8TokensPerTask = 256;  // share a panel, which costs as much as some 25 tokens of it
constexpr std::size_t kUpTileFloats = 256 * 32;  // on the stack: the up product of one gated tile

struct Split {
  std::size_t rows, tokens;          // of one task
  std::size_t row_tasks, token_tasks;
};

}  // namespace

kernels::WeightMatrix view(const Weight& w, std::size_t row_stride_bytes) {
  return {w.data + w.first_row * row_stride_bytes, row_stride_bytes, w.scale_inv, w.n_scale_cols(), w.first_row};
}

const kernels::BlockKernels* block_kernels(const Context& ctx, DType type) {
  const kernels::Table& t = *ctx.kernels;
  switch (type) {
    case DType::q4_0: return &t.q4_0;
    case DType::q4_1: return &t.q4_1;
    case DType::q5_0: return &t.q5_0;
    case DType::q5_1: return &t.q5_1;
    case DType::q8_0: return &t.q8_0;
    case DType::q2_k: return &t.q2_k;
    case DType::q3_k: return &t.q3_k;
    case DType::q4_k: return &t.q4_k;
    case DType::q5_k: return &t.q5_k;
    case DType::q6_k: return &t.q6_k;
    case DType::iq4_nl: return &t.iq4_nl;
    case DType::iq4_xs: return &t.iq4_xs;
    case DType::iq3_xxs: return &t.iq3_xxs;
    case DType::iq3_s: return &t.iq3_s;
    case DType::iq2_xxs: return &t.iq2_xxs;
    case DType::iq2_xs: return &t.iq2_xs;
    case DType::iq2_s: return &t.iq2_s;
    case DType::iq1_s: return &t.iq1_s;
    case DType::iq1_m: return &t.iq1_m;
    default: return nullptr;
  }
}

namespace {

kernels::MatmulFn* matmul_kernel(const Context& ctx, DType type) {
  if (const kernels::BlockKernels* block = block_kernels(ctx, type)) return block->matmul;
  switch (type) {
    case DType::f16: return ctx.kernels->matmul_f16;
    case DType::bf16: return ctx.kernels->matmul_bf16;
    case DType::f8_e4m3: return ctx.kernels->matmul_fp8;
    default: return ctx.kernels->matmul_f32;
  }
}
bool onednn_takes(const Context& ctx, DType type, std::size_t n_tokens) {
  return ctx.onednn && ctx.compute == Compute::fast && type == DType::bf16 && n_tokens >= kOnednnTokens;
}
// Null where the exact kernel is to be taken.
kernels::MatmulFn* fast_kernel(const Context& ctx, DType type, std::size_t n_tokens) {
  if (ctx.compute != Compute::fast || n_tokens < kFastTokens) return nullptr;
  return type == DType::bf16 ? ctx.kernels->matmul_bf16_fast : type == DType::f8_e4m3 ? ctx.kernels->matmul_fp8_fast : nullptr;
}
kernels::VecmatFn* vecmat_kernel(const Context& ctx, DType type) {
  if (const kernels::BlockKernels* block = block_kernels(ctx, type)) return block->vecmat;
  switch (type) {
    case DType::f16: return ctx.kernels->vecmat_f16;
    case DType::bf16: return ctx.kernels->vecmat_bf16;
    case DType::f8_e4m3: return ctx.kernels->vecmat_fp8;
    default: return ctx.kernels->vecmat_f32;
  }
}

// By shape, type and compute, and whether the region had room for its int8 rows: the number of threads does not matter.
Split split(const Context& ctx, const Product& p) {
  const bool panels = p.int8 && p.int8_panels;
  const bool fast = panels || fast_kernel(ctx, p.w->type, p.x.n_rows) || onednn_takes(ctx, p.w->type, p.x.n_rows);
  const std::size_t max_tokens = panels ? kInt8TokensPerTask : fast ? kFastTokensPerTask : kTokensPerTask;
  Split s;
  s.rows = std::max(kTaskWeightBytes / std::max<std::size_t>(p.w->row_stride_bytes(), 1), fast ? kFastRowsPerTask : kMinRowsPerTask);
  s.rows = std::min((s.rows + 31) / 32 * 32, p.w->n_out);
  s.token_tasks = (p.x.n_rows + max_tokens - 1) / max_tokens;
  s.tokens = fast ? (p.x.n_rows + s.token_tasks - 1) / s.token_tasks : std::min(max_tokens, p.x.n_rows);
  s.row_tasks = (p.w->n_out + s.rows - 1) / s.rows;
  return s;
}

// Tokens [first, first + count) and rows [row, row_end) of the weights.
void run_tile(const Context& ctx, const Product& p, std::size_t first_token, std::size_t n_tokens, std::size_t row,
              std::size_t row_end) {
  const Tensor y = p.y.rows(first_token, n_tokens), x = p.x.rows(first_token, n_tokens);
  const auto kernel_of = [&](DType type) {
    // The whole product decides, so that a token's bits do not depend on how its product was split.
    kernels::MatmulFn* fast = fast_kernel(ctx, type, p.x.n_rows);
    return fast ? fast : matmul_kernel(ctx, type);
  };
  const auto multiply = [&](float* out, std::size_t out_stride, const Weight& rows) {
    const kernels::WeightMatrix matrix = view(rows, rows.row_stride_bytes());
    if (p.int8) {
      const kernels::Int8Kernels& int8 = *block_kernels(ctx, rows.type)->int8;
      const std::size_t n_units = kernels::int8_units(rows.n_in);
      if (p.int8_panels)
        ctx.kernels->matmul_int8(out, out_stride, p.int8 + first_token, p.x.n_rows, &matrix, int8.fill, n_tokens, 0,
                                 rows.n_out, rows.n_in);
      else
        int8.dot(out, out_stride, p.int8 + first_token * n_units, n_units, &matrix, n_tokens, 0, rows.n_out, rows.n_in);
      return;
    }
    if (onednn_takes(ctx, rows.type, p.x.n_rows) &&
        ctx.onednn->table->matmul_bf16(out, out_stride, x.data, x.stride, matrix.data, matrix.row_stride_bytes, x.n_rows,
                                       rows.n_out, rows.n_in) == 0)
      return;
    kernel_of(rows.type)(out, out_stride, x.data, x.stride, &matrix, x.n_rows, 0, rows.n_out, rows.n_in);
  };
  multiply(y.data + row, y.stride, p.w->rows(row, row_end - row));
  const auto add = [&](const Tensor& out, std::span<const LowRank> additions, const float* projected, std::size_t first_row) {
    if (!additions.empty()) add_low_rank(ctx, out, additions, projected, p.x.n_rows, first_token, first_row);
  };
  add(y.cols(row, row_end - row), p.low_rank, p.projected, row);
  if (p.bias)
    for (std::size_t t = 0; t < x.n_rows; ++t) ctx.kernels->add(y.row(t) + row, p.bias + row, row_end - row);
  if (!p.up) return;
  const float* up_projected = p.projected;
  for (const LowRank& addition : p.low_rank) up_projected += p.x.n_rows * addition.rank();
  float up[kUpTileFloats];
  const std::size_t step = std::max<std::size_t>(kUpTileFloats / x.n_rows / 32 * 32, 32);
  for (std::size_t first = row; first < row_end; first += step) {
    const std::size_t count = std::min(step, row_end - first);
    multiply(up, count, p.up->rows(first, count));
    add(Tensor(up, x.n_rows, count), p.up_low_rank, up_projected, first);
    for (std::size_t t = 0; t < x.n_rows; ++t)
      ctx.kernels->swiglu(y.row(t) + first, y.row(t) + first, up + t * count, count);
  }
}

}  // namespace

void matmul_all(const Context& ctx, std::span<Product> products) {
  quantize_rows(ctx, products);
  if (ctx.low_ranks) project_low_ranks(ctx, products);
  std::size_t n_tasks = 0;
  for (Product& p : products) {
    p.first_task = n_tasks;
    if (p.x.n_rows == 0) continue;
    if (ctx.observer) ctx.observer->saw(*p.w, p.x);
    const Split s = split(ctx, p);
    n_tasks += s.row_tasks * s.token_tasks;
  }
  ctx.pool->parallel_for(
      n_tasks,
      [&](std::size_t task) {
        // The last product that starts at or before the task; products without rows share their successor's start.
        std::size_t low = 0, high = products.size();
        while (high - low > 1) {
          const std::size_t middle = (low + high) / 2;
          (products[middle].first_task <= task ? low : high) = middle;
        }
        const Product& p = products[low];
        const Split s = split(ctx, p);
        const std::size_t local = task - p.first_task, row = local / s.token_tasks * s.rows;
        const std::size_t first = local % s.token_tasks * s.tokens, count = std::min(s.tokens, p.x.n_rows - first);
        run_tile(ctx, p, first, count, row, std::min(row + s.rows, p.w->n_out));
      },
      ctx.max_threads);
}

void matmul(const Context& ctx, const Tensor& y, const Tensor& x, const Weight& w, const float* bias) {
  Product product{y, x, &w, nullptr, bias};
  matmul_all(ctx, {&product, 1});
}

void matmul_serial(const Context& ctx, const Tensor& y, const Tensor& x, const Weight& w) {
  if (!int8_matmul_serial(ctx, y, x, w)) kv_matmul_serial(ctx, y, x, w, w.row_stride_bytes());
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

void rms_norm(const Context& ctx, const Tensor& y, const Tensor& x, const float* weight, double eps) {
  for_rows(ctx, x.n_rows, x.n_cols, [&](std::size_t first, std::size_t count) {
    ctx.kernels->rms_norm(y.row(first), y.stride, x.row(first), x.stride, weight, count, x.n_cols, static_cast<float>(eps));
  });
}

void add(const Context& ctx, const Tensor& y, const Tensor& x) {
  for_rows(ctx, y.n_rows, y.n_cols, [&](std::size_t first, std::size_t count) {
    for (std::size_t t = first; t < first + count; ++t) ctx.kernels->add(y.row(t), x.row(t), y.n_cols);
  });
}

void add_rms_norm(const Context& ctx, const Tensor& y, const Tensor& x, const Tensor& delta, const float* weight, double eps) {
  for_rows(ctx, x.n_rows, x.n_cols, [&](std::size_t first, std::size_t count) {
    for (std::size_t t = first; t < first + count; ++t) ctx.kernels->add(x.row(t), delta.row(t), x.n_cols);
    ctx.kernels->rms_norm(y.row(first), y.stride, x.row(first), x.stride, weight, count, x.n_cols, static_cast<float>(eps));
  });
}

void embed(const Context& ctx, const Tensor& y, const Weight& w, std::span<const std::int32_t> ids) {
  for (std::size_t t = 0; t < ids.size(); ++t) {
    const std::byte* row = w.data + static_cast<std::size_t>(ids[t]) * w.row_stride_bytes();
    if (const kernels::BlockKernels* block = block_kernels(ctx, w.type))
      block->to_f32(y.row(t), row, w.n_in);
    else if (w.type == DType::bf16)
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
