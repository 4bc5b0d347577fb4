#include "lib/ops/int8_rows.h"

#include <algorithm>

namespace ponder::core::ops {

namespace {

constexpr std::size_t kElementsPerTask = 16384;

bool same_rows(const Tensor& a, const Tensor& b) {
  return a.data == b.data && a.n_rows == b.n_rows && a.n_cols == b.n_cols && a.stride == b.stride;
}

}  // namespace

const kernels::Int8Kernels* int8_kernels(const Context& ctx, DType type, std::size_t n_tokens, std::size_t n_in) {
  if (ctx.compute != Compute::fast || n_in < kernels::Int8Unit::kElements || n_in % 32 != 0) return nullptr;
  const kernels::BlockKernels* block = block_kernels(ctx, type);
  const kernels::Int8Kernels* int8 = block ? block->int8 : nullptr;
  return int8 && (int8->fill || n_tokens <= int8->most_dot_tokens) ? int8 : nullptr;
}

void quantize_rows(const Context& ctx, std::span<Product> products) {
  std::size_t used = 0, n_rows = 0, widest = 1;
  for (std::size_t i = 0; i < products.size(); ++i) {
    Product& p = products[i];
    p.int8 = nullptr;
    p.first_int8_row = n_rows;
    p.n_int8_rows = 0;
    const kernels::Int8Kernels* int8 = int8_kernels(ctx, p.w->type, p.x.n_rows, p.w->n_in);
    if (p.x.n_rows == 0 || !int8 || (p.up && !int8_kernels(ctx, p.up->type, p.x.n_rows, p.up->n_in))) continue;
    p.int8_panels = int8->fill && p.x.n_rows >= kInt8PanelTokens;  // of one table: so it is for `up`
    const std::size_t n_units = p.x.n_rows * kernels::int8_units(p.x.n_cols);
    if (i > 0 && products[i - 1].int8 && products[i - 1].int8_panels == p.int8_panels && same_rows(products[i - 1].x, p.x)) {
      p.int8 = products[i - 1].int8;
    } else if (n_units <= ctx.n_int8_units - used) {
      p.int8 = ctx.int8_units + used;
      used += n_units;
      p.n_int8_rows = p.x.n_rows;
      n_rows += p.n_int8_rows;
      widest = std::max(widest, p.x.n_cols);
    }
  }
  const std::size_t per_task = std::max<std::size_t>(kElementsPerTask / widest, 1);
  ctx.pool->parallel_for(
      (n_rows + per_task - 1) / per_task,
      [&](std::size_t task) {
        const std::size_t begin = task * per_task, end = std::min(begin + per_task, n_rows);
        // The last product that starts at or before `begin`: those before it with the same start have no rows to fill.
        const auto after = std::upper_bound(products.begin(), products.end(), begin,
                                            [](std::size_t row, const Product& p) { return row < p.first_int8_row; });
        auto product = after - 1;
        for (std::size_t row = begin; row < end; ++row) {
          while (row - product->first_int8_row >= product->n_int8_rows) ++product;
          const Product& p = *product;
          const std::size_t t = row - p.first_int8_row;
          if (p.int8_panels)
            ctx.kernels->row_to_int8(p.int8 + t, p.x.n_rows, p.x.row(t), p.x.n_cols);
          else
            ctx.kernels->row_to_int8(p.int8 + t * kernels::int8_units(p.x.n_cols), 1, p.x.row(t), p.x.n_cols);
        }
      },
      ctx.max_threads);
}

}  // namespace ponder::core::ops
