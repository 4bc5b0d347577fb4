#include "kernels/swiglu/swiglu.h"

#include "benchmarks/kernels/kernel_bench.h"

namespace ponder::bench {

void register_benchmarks() {
  for (const Shape& shape : shapes("rows.txt")) {
    const std::size_t width = shape.sizes[0];
    register_impls("swiglu", kernels::swiglu_impls(), shape.name, [=](benchmark::State& state, kernels::SwigluFn* fn) {
      const std::vector<float> gate(width, 0.5f), up(width, 1.0f);
      std::vector<float> y(width);
      for (auto _ : state) {
        fn(y.data(), gate.data(), up.data(), width);
        benchmark::DoNotOptimize(y.data());
      }
      count_bytes(state, 3 * width * sizeof(float));
    });
  }
}

}  // namespace ponder::bench
