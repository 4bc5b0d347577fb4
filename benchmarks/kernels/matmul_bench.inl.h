// matmul of one weight type: few tokens count bytes/s of weights from memory, many FLOP/s.
#pragma once

#include "benchmarks/kernels/kernel_bench.h"
#include "kernels/matmul_f32/matmul_f32.h"

namespace ponder::bench {

inline void register_matmul(const std::string& type, const std::string& op, kernels::ImplList<kernels::MatmulFn> list,
                            const std::vector<std::size_t>& token_counts, Peak peak = Peak::f32) {
  for (const Shape& shape : shapes("matmul.txt"))
    for (std::size_t n_tokens : token_counts) {
      const std::size_t n_out = shape.sizes[0], n_in = shape.sizes[1];
      if (!fits(type, n_in)) continue;
      register_impls(
          op, list, shape.name + "/tokens:" + std::to_string(n_tokens),
          [=](benchmark::State& state, kernels::MatmulFn* fn) {
            Matrices matrices(type, n_out, n_in);
            const std::vector<float> x(n_tokens * n_in, 0.5f);
            std::vector<float> y(n_tokens * n_out);
            for (auto _ : state) {
              fn(y.data(), n_out, x.data(), n_in, matrices.next(), n_tokens, 0, n_out, n_in);
              benchmark::DoNotOptimize(y.data());
            }
            count_weights(state, matrices.bytes());
            count_flops(state, 2.0 * static_cast<double>(n_tokens * n_out * n_in), peak);
          },
          n_tokens == 1);  // the reference is too slow for more
    }
}

}  // namespace ponder::bench
