#include "kernels/softmax/softmax.h"

#include "benchmarks/kernels/kernel_bench.h"

namespace ponder::bench {

void register_benchmarks() {
  for (const Shape& shape : shapes("softmax.txt")) {
    const std::size_t width = shape.sizes[0];
    register_impls("softmax_block", kernels::softmax_block_impls(), shape.name,
                   [=](benchmark::State& state, kernels::SoftmaxBlockFn* fn) {
                     std::vector<float> scores(width, 0.5f);
                     for (auto _ : state) {
                       float max = 0, rescale = 1;
                       benchmark::DoNotOptimize(fn(scores.data(), width, 0.1f, &max, &rescale));
                     }
                     count_bytes(state, 2 * width * sizeof(float));
                   });
    register_impls("softmax_row", kernels::softmax_row_impls(), shape.name,
                   [=](benchmark::State& state, kernels::SoftmaxRowFn* fn) {
                     std::vector<float> scores(width, 0.5f);
                     for (auto _ : state) {
                       fn(scores.data(), width);
                       benchmark::DoNotOptimize(scores.data());
                     }
                     count_bytes(state, 2 * width * sizeof(float));
                   });
  }
}

}  // namespace ponder::bench
