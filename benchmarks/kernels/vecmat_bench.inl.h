// vecmat of one weight type: one token (or one head's query) and a tile of them.
#pragma once

#include "benchmarks/kernels/kernel_bench.h"
#include "kernels/vecmat_f32/vecmat_f32.h"

namespace ponder::bench {

inline void register_vecmat(const std::string& type, const std::string& op, kernels::ImplList<kernels::VecmatFn> list) {
  for (const Shape& shape : shapes("vecmat.txt"))
    for (std::size_t n_tokens : {1, 4, 32}) {
      const std::size_t n_rows = shape.sizes[0], n_cols = shape.sizes[1];
      if (!fits(type, n_cols)) continue;
      register_impls(op, list, shape.name + "/tokens:" + std::to_string(n_tokens),
                     [=](benchmark::State& state, kernels::VecmatFn* fn) {
                       Matrices matrices(type, n_rows, n_cols);
                       const std::vector<float> x(n_tokens * n_rows, 0.5f);
                       std::vector<float> y(n_tokens * n_cols);
                       for (auto _ : state) {
                         fn(y.data(), n_cols, x.data(), n_rows, matrices.next(), n_tokens, n_rows, 0, n_cols, 0);
                         benchmark::DoNotOptimize(y.data());
                       }
                       count_weights(state, matrices.bytes());
                       count_flops(state, 2.0 * static_cast<double>(n_tokens * n_rows * n_cols), Peak::f32);
                     });
    }
}

}  // namespace ponder::bench
