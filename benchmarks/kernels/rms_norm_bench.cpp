#include "kernels/rms_norm/rms_norm.h"

#include "benchmarks/kernels/kernel_bench.h"

namespace ponder::bench {

void register_benchmarks() {
  for (const Shape& shape : shapes("rows.txt")) {
    const std::size_t width = shape.sizes[0];
    register_impls("rms_norm", kernels::rms_norm_impls(), shape.name, [=](benchmark::State& state, kernels::RmsNormFn* fn) {
      const std::vector<float> x(width, 0.5f), weight(width, 1.0f);
      std::vector<float> y(width);
      for (auto _ : state) {
        fn(y.data(), width, x.data(), width, weight.data(), 1, width, 1e-6f);
        benchmark::DoNotOptimize(y.data());
      }
      count_bytes(state, 3 * width * sizeof(float));
    });
  }
}

}  // namespace ponder::bench
