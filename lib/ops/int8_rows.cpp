#include "lib/ops/int8_rows.h"

#include <algorithm>
#include <cstring>

namespace ponder::core::ops {

namespace {

constexpr std::size_t kElementsPerTask = 16384;

bool same_rows(const Tensor& a, const Tensor& b) {
  return a.data == b.data && a.n_rows == b.n_rows && a.n_cols == b.n_cols && a.stride == b.stride;
}

}  // namespace

const kernels::Int8Kernels* int8_kernels(const Context& ctx, DType type, std::size_t n_in) {
  if (ctx.compute != Compute::fast || n_in < kernels::Int8Unit::kElements || n_in % 32 != 0) return nullptr;
  const kernels::BlockKernels* block = block_kernels(ctx, type);
  return block ? block->int8 : nullptr;
}

void quantize_rows(const Context& ctx, std::span<Product> products) {
  std::size_t used = 0, n_rows = 0, widest = 1;
  for (std::size_t i = 0; i < products.size(); ++i) {
    Product& p = products[i];
    p.int8 = nullptr;
    p.first_int8_row = n_rows;
    p.n_int8_rows = 0;
    const kernels::Int8Kernels* int8 = int8_kernels(ctx, p.w->type, p.w->n_in);
    if (p.x.n_rows == 0 || !int8 || (p.up && !int8_kernels(ctx, p.up->type, p.up->n_in))) continue;
    p.int8_panels = p.x.n_rows >= kInt8PanelTokens;
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

bool int8_matmul_serial(const Context& ctx, const Tensor& y, const Tensor& x, const Weight& w) {
  constexpr std::size_t kUnits = 8, kElements = kernels::Int8Unit::kElements, kHalf = kElements / 2, kPairs = 128;
  kernels::Int8Unit units[kUnits];
  kernels::WeightMatrix matrix = view(w, w.row_stride_bytes());
  if (w.n_in == kHalf && w.n_out % 2 == 0) {
    // Two rows lie side by side as one of 256: it meets x once with zeros behind and once with zeros before.
    const kernels::Int8Kernels* int8 = int8_kernels(ctx, w.type, kElements);
    if (!int8 || 2 * x.n_rows > kUnits) return false;
    for (std::size_t t = 0; t < x.n_rows; ++t)
      for (std::size_t half = 0; half < 2; ++half) {
        float row[kElements] = {};
        std::memcpy(row + half * kHalf, x.row(t), kHalf * sizeof(float));
        ctx.kernels->row_to_int8(units + 2 * t + half, 1, row, kElements);
      }
    matrix.row_stride_bytes *= 2;
    for (std::size_t first = 0; first < w.n_out / 2; first += kPairs) {
      const std::size_t count = std::min(kPairs, w.n_out / 2 - first);
      float pairs[kUnits * kPairs];
      const kernels::WeightMatrix rows = {static_cast<const std::byte*>(matrix.data) + first * matrix.row_stride_bytes,
                                          matrix.row_stride_bytes, nullptr, 0, 0};
      int8->dot(pairs, kPairs, units, 1, &rows, 2 * x.n_rows, 0, count, kElements);
      for (std::size_t t = 0; t < x.n_rows; ++t)
        for (std::size_t i = 0; i < count; ++i)
          for (std::size_t half = 0; half < 2; ++half)
            y.row(t)[2 * (first + i) + half] = pairs[(2 * t + half) * kPairs + i];
    }
    return true;
  }
  const kernels::Int8Kernels* int8 = int8_kernels(ctx, w.type, w.n_in);
  const std::size_t n_units = kernels::int8_units(w.n_in);
  if (!int8 || x.n_rows * n_units > kUnits) return false;
  for (std::size_t t = 0; t < x.n_rows; ++t) ctx.kernels->row_to_int8(units + t * n_units, 1, x.row(t), w.n_in);
  int8->dot(y.data, y.stride, units, n_units, &matrix, x.n_rows, 0, w.n_out, w.n_in);
  return true;
}

}  // namespace ponder::core::ops
