// Benchmarks of kernels: every supported entry of a list over the shapes of real models. One thread; times are CPU times.
//   <op>_bench [--benchmark_filter=avx512.*V2-Lite]
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <string>
#include <vector>

#include "kernels/base/impl.h"
#include "kernels/base/matrix.h"

namespace ponder::bench {

// Each program registers its benchmarks here; main() is shared.
void register_benchmarks();

// One line of benchmarks/shapes/<file>: two words, then sizes.
struct Shape {
  std::string name;  // "V2-Lite q_proj"
  std::vector<std::size_t> sizes;
};
std::vector<Shape> shapes(const char* file);

// Memory larger than most caches, filled with numbers that are ordinary in f32, f16, bf16 and fp8.
struct Memory {
  const unsigned char* data;
  std::size_t size;
};
Memory weights_memory();

// Element types of weights, as the kernels' names spell them.
std::size_t bits_of(const std::string& type);

// A matrix somewhere in weights_memory(): call after call another one, so that weights come from memory as in decode.
class Matrices {
 public:
  Matrices(const std::string& type, std::size_t n_rows, std::size_t n_cols);
  const kernels::WeightMatrix* next();
  std::size_t bytes() const { return bytes_; }

 private:
  kernels::WeightMatrix matrix_{};
  std::vector<float> scales_;
  std::size_t bytes_, at_ = 0;
};

inline void count_flops(benchmark::State& state, double flops_per_iteration) {
  state.counters["FLOP/s"] =
      benchmark::Counter(flops_per_iteration, benchmark::Counter::kIsIterationInvariantRate);
}
inline void count_bytes(benchmark::State& state, std::size_t bytes_per_iteration) {
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes_per_iteration) * state.iterations());
}

// "op/isa/shape[/detail]" for every entry that this CPU supports; the reference only where `with_ref`.
template <class Fn, class Body>
void register_impls(const std::string& op, kernels::ImplList<Fn> list, const std::string& shape, Body body,
                    bool with_ref = true) {
  for (const kernels::Impl<Fn>& impl : list) {
    if (!kernels::isa_supported(impl.isa) || (impl.isa == kernels::Isa::ref && !with_ref)) continue;
    benchmark::RegisterBenchmark((op + "/" + kernels::isa_name(impl.isa) + "/" + shape).c_str(),
                                 [body, fn = impl.fn](benchmark::State& state) { body(state, fn); });
  }
}

}  // namespace ponder::bench
