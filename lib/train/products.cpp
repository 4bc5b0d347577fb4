#include "lib/train/products.h"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "lib/ops/ops.h"

namespace ponder::core {
namespace {

constexpr std::size_t kTokensPerTask = 64, kRowsPerTask = 128, kGradRowsPerTask = 32;

Tensor tensor(const Matrix<float>& m) { return {m.data, m.n_rows, m.n_cols, m.stride}; }
Weight weight(const Matrix<float>& m) {
  return ops::kv_rows(DType::f32, reinterpret_cast<const std::byte*>(m.data), m.n_rows, m.n_cols);
}

// A part of a product that one thread computes.
struct Part {
  std::size_t item, first, count, first_row = 0, n_rows = 0;
};

}  // namespace

template <class S>
void matmul_serial(const Context& ctx, const Matrix<S>& y, const Matrix<S>& x, const Matrix<S>& w) {
  if constexpr (std::is_same_v<S, float>) {
    ops::kv_matmul_serial(ctx, tensor(y), tensor(x), weight(w), w.stride * sizeof(float));
  } else {
    for (std::size_t t = 0; t < y.n_rows; ++t)
      for (std::size_t n = 0; n < y.n_cols; ++n) {
        S sum = 0;
        for (std::size_t k = 0; k < x.n_cols; ++k) sum += x.row(t)[k] * w.row(n)[k];
        y.row(t)[n] = sum;
      }
  }
}

template <class S>
void vecmat_serial(const Context& ctx, const Matrix<S>& y, const Matrix<S>& x, const Matrix<S>& w, bool accumulate) {
  if constexpr (std::is_same_v<S, float>) {
    ops::kv_vecmat_serial(ctx, tensor(y), tensor(x), weight(w), w.stride * sizeof(float), accumulate);
  } else {
    for (std::size_t t = 0; t < y.n_rows; ++t) {
      if (!accumulate) std::fill_n(y.row(t), y.n_cols, S(0));
      for (std::size_t n = 0; n < w.n_rows; ++n)
        for (std::size_t k = 0; k < y.n_cols; ++k) y.row(t)[k] += x.row(t)[n] * w.row(n)[k];
    }
  }
}

template <class S>
void linears(const Context& ctx, std::span<const LinearRows<S>> all) {
  std::vector<Part> parts;
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t first = 0; first < all[i].x.n_rows; first += kTokensPerTask)
      for (std::size_t row = 0; row < all[i].w.n_rows; row += kRowsPerTask)
        parts.push_back({i, first, std::min(kTokensPerTask, all[i].x.n_rows - first), row,
                         std::min(kRowsPerTask, all[i].w.n_rows - row)});
  ctx.pool->parallel_for(
      parts.size(),
      [&](std::size_t task) {
        const Part& part = parts[task];
        const LinearRows<S>& l = all[part.item];
        const Matrix<S> y = l.y.rows(part.first, part.count).cols(part.first_row, part.n_rows);
        matmul_serial(ctx, y, l.x.rows(part.first, part.count), l.w.rows(part.first_row, part.n_rows));
        if (l.bias)
          for (std::size_t t = 0; t < part.count; ++t)
            for (std::size_t n = 0; n < part.n_rows; ++n) y.row(t)[n] += l.bias[part.first_row + n];
      },
      ctx.max_threads);
}

template <class S>
void linear_grads(const Context& ctx, std::span<const LinearGrad<S>> all) {
  // dx: those that add to the one before run behind it on the same rows.
  std::vector<Part> parts;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (all[i].dx.data && !all[i].add_dx)
      for (std::size_t first = 0; first < all[i].dy.n_rows; first += kTokensPerTask)
        parts.push_back({i, first, std::min(kTokensPerTask, all[i].dy.n_rows - first)});
  ctx.pool->parallel_for(
      parts.size(),
      [&](std::size_t task) {
        const Part& part = parts[task];
        for (std::size_t i = part.item; i < all.size() && (i == part.item || all[i].add_dx); ++i)
          vecmat_serial(ctx, all[i].dx.rows(part.first, part.count), all[i].dy.rows(part.first, part.count), all[i].w,
                        all[i].add_dx);
      },
      ctx.max_threads);

  parts.clear();
  std::size_t most_tokens = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!all[i].dw || all[i].dy.n_rows == 0) continue;
    most_tokens = std::max(most_tokens, all[i].dy.n_rows);
    for (std::size_t row = 0; row < all[i].w.n_rows; row += kGradRowsPerTask)
      parts.push_back({i, 0, all[i].dy.n_rows, row, std::min(kGradRowsPerTask, all[i].w.n_rows - row)});
  }
  const std::size_t n_lanes = std::min<std::size_t>(parts.size(), static_cast<std::size_t>(ctx.pool->n_threads()));
  std::vector<S> lanes(n_lanes * kGradRowsPerTask * most_tokens);
  ops::for_tasks_in_lanes(ctx, parts.size(), n_lanes, [&](std::size_t task, std::size_t lane) {
    const Part& part = parts[task];
    const LinearGrad<S>& g = all[part.item];
    const Matrix<S> transposed(lanes.data() + lane * kGradRowsPerTask * most_tokens, part.n_rows, part.count);
    for (std::size_t t = 0; t < part.count; ++t)
      for (std::size_t n = 0; n < part.n_rows; ++n) transposed.row(n)[t] = g.dy.row(t)[part.first_row + n];
    vecmat_serial(ctx, Matrix<S>(g.dw + part.first_row * g.w.n_cols, part.n_rows, g.w.n_cols), transposed, g.x, true);
    if (g.dbias)
      for (std::size_t n = 0; n < part.n_rows; ++n)
        for (std::size_t t = 0; t < part.count; ++t) g.dbias[part.first_row + n] += transposed.row(n)[t];
  });
}

#define PONDER_INSTANTIATE(S)                                                                                           \
  template void matmul_serial(const Context&, const Matrix<S>&, const Matrix<S>&, const Matrix<S>&);                    \
  template void vecmat_serial(const Context&, const Matrix<S>&, const Matrix<S>&, const Matrix<S>&, bool);              \
  template void linears(const Context&, std::span<const LinearRows<S>>);                                                   \
  template void linear_grads(const Context&, std::span<const LinearGrad<S>>)
PONDER_INSTANTIATE(float);
PONDER_INSTANTIATE(double);
#undef PONDER_INSTANTIATE

}  // namespace ponder::core
