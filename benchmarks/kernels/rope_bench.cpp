#include "kernels/rope/rope.h"

#include "benchmarks/kernels/kernel_bench.h"

namespace ponder::bench {

namespace {
void register_rope(const std::string& op, kernels::ImplList<kernels::RopeFn> list) {
  for (const Shape& shape : shapes("rope.txt")) {
    const std::size_t n_heads = shape.sizes[0], n_dims = shape.sizes[1];
    register_impls(op, list, shape.name, [=](benchmark::State& state, kernels::RopeFn* fn) {
      std::vector<float> x(n_heads * n_dims, 0.5f);
      const std::vector<float> cos(n_dims / 2, 0.8f), sin(n_dims / 2, 0.6f);
      for (auto _ : state) {
        fn(x.data(), n_dims, cos.data(), sin.data(), n_heads, n_dims);
        benchmark::DoNotOptimize(x.data());
      }
      count_bytes(state, 2 * x.size() * sizeof(float));
    });
  }
}
}  // namespace

void register_benchmarks() {
  register_rope("rope_interleaved", kernels::rope_interleaved_impls());
  register_rope("rope_half", kernels::rope_half_impls());
}

}  // namespace ponder::bench
