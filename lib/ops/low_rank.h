// Low-rank additions to weights (LoRA, arXiv 2106.09685): y = x W^T + scale (x A^T) B^T. The weight itself stays as it is, in
// whatever type; the addition is always computed with f32 activations and sums. matmul_all adds it beside every product.
#pragma once

#include <span>
#include <vector>

#include "lib/base/tensor.h"

namespace ponder::core {

struct Context;

namespace ops {

struct Product;

struct LowRank {
  Weight a;  // [rank, n_in]
  Weight b;  // [n_out, rank]
  float scale = 1;

  std::size_t rank() const { return a.n_out; }
};

// All additions of a pass, by the weight that they belong to: its address in the model. Immutable while in use.
class LowRanks {
 public:
  static constexpr std::size_t kMaxRank = 4096;  // of one addition

  // Several of one weight are added in the order in which they came; nothing is found before finish().
  void add(const Weight* w, const LowRank& addition) { entries_.push_back({w, entries_.size(), addition}); }
  void finish();
  std::span<const LowRank> of(const Weight* w) const;
  std::size_t max_rank() const { return max_rank_; }  // the most of one weight, summed over its additions
  bool empty() const { return additions_.empty(); }

 private:
  struct Entry {
    const Weight* w;
    std::size_t order;
    LowRank addition;
  };
  struct Group {
    const Weight* w;
    std::size_t first, count;
  };
  std::vector<Entry> entries_;
  std::vector<LowRank> additions_;  // of one weight side by side
  std::vector<Group> groups_;       // ascending addresses
  std::size_t max_rank_ = 0;
};

// scale (x A^T) of all additions to the products of a region, into ctx.low_rank_floats; sets what Product keeps of it.
void project_low_ranks(const Context& ctx, std::span<Product> products);
// y [n_tokens, n] += what is behind W's rows [first_row, first_row + n), of tokens from first_token on. `projected`: of all
// n_rows tokens of the product, [n_rows, rank] of each addition, one after another.
void add_low_rank(const Context& ctx, const Tensor& y, std::span<const LowRank> additions, const float* projected,
                  std::size_t n_rows, std::size_t first_token, std::size_t first_row);

// One thread, for use inside a task: beside matmul_serial(y, x, w.rows(first_row, y.n_cols)), and beside
// vecmat_serial(y, x, w.rows(first_row, x.n_cols)).
void low_rank_matmul_serial(const Context& ctx, const Tensor& y, const Tensor& x, std::span<const LowRank> additions,
                            std::size_t first_row);
void low_rank_vecmat_serial(const Context& ctx, const Tensor& y, const Tensor& x, std::span<const LowRank> additions,
                            std::size_t first_row);

}  // namespace ops
}  // namespace ponder::core
