// Benchmarks of kernels: every supported entry of a list over the shapes of real models. One thread; times are CPU times.
//   <op>_bench [--benchmark_filter=avx512.*V2-Lite]
// "of_read", "of_f32", "of_bf16", "of_int8": shares of what one thread of this machine can do at best, measured at the start of
// the program (benchmarks/model/machine_limits.h). Weights come from memory, call after call others.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <string>
#include <vector>

#include "benchmarks/model/machine_limits.h"
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

// Types of weights, as the kernels' names spell them: "f32", "f16", "bf16", "fp8", "q4_k", ...
std::size_t row_bytes_of(const std::string& type, std::size_t n_cols);
// Whether a row of so many weights is whole blocks.
bool fits(const std::string& type, std::size_t n_cols);

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

const MachineLimits& limits();  // of one thread

// The unit that a kernel multiplies with.
enum class Peak { none, f32, bf16, int8 };

inline void count_flops(benchmark::State& state, double flops_per_iteration, Peak peak = Peak::none) {
  const auto per_second = benchmark::Counter::kIsIterationInvariantRate;
  state.counters["FLOP/s"] = benchmark::Counter(flops_per_iteration, per_second);
  if (peak == Peak::f32) state.counters["of_f32"] = benchmark::Counter(flops_per_iteration / limits().f32_flops_per_s, per_second);
  if (peak == Peak::bf16 && limits().bf16_flops_per_s > 0)
    state.counters["of_bf16"] = benchmark::Counter(flops_per_iteration / limits().bf16_flops_per_s, per_second);
  if (peak == Peak::int8 && limits().int8_ops_per_s > 0)
    state.counters["of_int8"] = benchmark::Counter(flops_per_iteration / limits().int8_ops_per_s, per_second);
}
inline void count_bytes(benchmark::State& state, std::size_t bytes_per_iteration) {
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes_per_iteration) * state.iterations());
}

// Of weights that come from memory.
inline void count_weights(benchmark::State& state, std::size_t bytes_per_iteration) {
  count_bytes(state, bytes_per_iteration);
  state.counters["of_read"] = benchmark::Counter(static_cast<double>(bytes_per_iteration) / limits().read_bytes_per_s,
                                                 benchmark::Counter::kIsIterationInvariantRate);
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
