#include "lib/ops/low_rank.h"

#include <algorithm>

#include "lib/ops/ops.h"

namespace ponder::core::ops {

namespace {

// On the stack: one tile of B's part, and the projected tokens of a serial product.
constexpr std::size_t kTileTokens = 32, kTileCols = 64;
constexpr std::size_t kProjectedFloats = LowRanks::kMaxRank;

std::span<const LowRank> additions_of(const Context& ctx, const Weight* w) {
  return w ? ctx.low_ranks->of(w) : std::span<const LowRank>();
}

void scale_rows(const Tensor& x, float scale) {
  for (std::size_t t = 0; t < x.n_rows; ++t)
    for (float& v : x.row_span(t)) v *= scale;
}

// y += x w^T
void add_product(const Context& ctx, const Tensor& y, const Tensor& x, const Weight& w) {
  float floats[kTileTokens * kTileCols];
  for (std::size_t token = 0; token < y.n_rows; token += kTileTokens)
    for (std::size_t col = 0; col < y.n_cols; col += kTileCols) {
      const Tensor part(floats, std::min(kTileTokens, y.n_rows - token), std::min(kTileCols, y.n_cols - col));
      matmul_serial(ctx, part, x.rows(token, part.n_rows), w.rows(col, part.n_cols));
      for (std::size_t t = 0; t < part.n_rows; ++t) ctx.kernels->add(y.row(token + t) + col, part.row(t), part.n_cols);
    }
}

// body(first token, count) in pieces whose projections to `rank` fit on the stack.
template <class F>
void for_pieces(std::size_t n_tokens, std::size_t rank, F&& body) {
  const std::size_t most = std::max<std::size_t>(1, kProjectedFloats / rank);
  for (std::size_t first = 0; first < n_tokens; first += most) body(first, std::min(most, n_tokens - first));
}

}  // namespace

void LowRanks::finish() {
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    return a.w != b.w ? std::less<const Weight*>()(a.w, b.w) : a.order < b.order;
  });
  additions_.clear();
  groups_.clear();
  std::size_t rank = 0;
  for (const Entry& entry : entries_) {
    if (groups_.empty() || groups_.back().w != entry.w) {
      groups_.push_back({entry.w, additions_.size(), 0});
      rank = 0;
    }
    additions_.push_back(entry.addition);
    ++groups_.back().count;
    max_rank_ = std::max(max_rank_, rank += entry.addition.rank());
  }
}

std::span<const LowRank> LowRanks::of(const Weight* w) const {
  const auto at = std::lower_bound(groups_.begin(), groups_.end(), w, [](const Group& group, const Weight* key) {
    return std::less<const Weight*>()(group.w, key);
  });
  if (at == groups_.end() || at->w != w) return {};
  return std::span(additions_).subspan(at->first, at->count);
}

void project_low_ranks(const Context& ctx, std::span<Product> products) {
  // Tasks: one addition and some tokens of one product each.
  std::size_t n_tasks = 0;
  float* floats = ctx.low_rank_floats;
  for (Product& p : products) {
    p.low_rank = additions_of(ctx, p.w);
    p.up_low_rank = additions_of(ctx, p.up);
    p.projected = floats;
    for (const auto additions : {p.low_rank, p.up_low_rank})
      for (const LowRank& addition : additions) floats += p.x.n_rows * addition.rank();
    n_tasks += (p.low_rank.size() + p.up_low_rank.size()) * ((p.x.n_rows + kTileTokens - 1) / kTileTokens);
  }
  if (n_tasks == 0) return;
  ctx.pool->parallel_for(
      n_tasks,
      [&](std::size_t task) {
        for (const Product& p : products) {
          const std::size_t n_tiles = (p.x.n_rows + kTileTokens - 1) / kTileTokens;
          float* projected = p.projected;
          for (const auto additions : {p.low_rank, p.up_low_rank})
            for (const LowRank& addition : additions) {
              if (task < n_tiles) {
                const std::size_t first = task * kTileTokens, count = std::min(kTileTokens, p.x.n_rows - first);
                const Tensor out(projected + first * addition.rank(), count, addition.rank());
                matmul_serial(ctx, out, p.x.rows(first, count), addition.a);
                return scale_rows(out, addition.scale);
              }
              task -= n_tiles;
              projected += p.x.n_rows * addition.rank();
            }
        }
      },
      ctx.max_threads);
}

void add_low_rank(const Context& ctx, const Tensor& y, std::span<const LowRank> additions, const float* projected,
                  std::size_t n_rows, std::size_t first_token, std::size_t first_row) {
  for (const LowRank& addition : additions) {
    const Tensor x(const_cast<float*>(projected) + first_token * addition.rank(), y.n_rows, addition.rank());
    add_product(ctx, y, x, addition.b.rows(first_row, y.n_cols));
    projected += n_rows * addition.rank();
  }
}

void low_rank_matmul_serial(const Context& ctx, const Tensor& y, const Tensor& x, std::span<const LowRank> additions,
                            std::size_t first_row) {
  float floats[kProjectedFloats];
  for (const LowRank& addition : additions)
    for_pieces(x.n_rows, addition.rank(), [&](std::size_t first, std::size_t count) {
      const Tensor projected(floats, count, addition.rank());
      matmul_serial(ctx, projected, x.rows(first, count), addition.a);
      scale_rows(projected, addition.scale);
      add_product(ctx, y.rows(first, count), projected, addition.b.rows(first_row, y.n_cols));
    });
}

void low_rank_vecmat_serial(const Context& ctx, const Tensor& y, const Tensor& x, std::span<const LowRank> additions,
                            std::size_t first_row) {
  float floats[kProjectedFloats];
  for (const LowRank& addition : additions)
    for_pieces(x.n_rows, addition.rank(), [&](std::size_t first, std::size_t count) {
      const Tensor projected(floats, count, addition.rank());
      vecmat_serial(ctx, projected, x.rows(first, count), addition.b.rows(first_row, x.n_cols), false);
      scale_rows(projected, addition.scale);
      vecmat_serial(ctx, y.rows(first, count), projected, addition.a, true);
    });
}

}  // namespace ponder::core::ops
