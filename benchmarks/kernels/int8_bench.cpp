// Quantised weights with int8 activations (fast compute): dots for few tokens, panels for many. A type is a line.
#include "benchmarks/kernels/kernel_bench.h"
#include "kernels/base/table.h"
#include "kernels/matmul_int8/matmul_int8.h"

namespace ponder::bench {
namespace {

using namespace kernels;

struct Int8Type {
  const char* name;
  ImplList<const Int8Kernels> (*impls)();
};
constexpr Int8Type kTypes[] = {{"q4_0", q4_0_int8_impls}, {"q5_0", q5_0_int8_impls}, {"q8_0", q8_0_int8_impls},
                               {"q2_k", q2_k_int8_impls}, {"q3_k", q3_k_int8_impls}, {"q4_k", q4_k_int8_impls},
                               {"q5_k", q5_k_int8_impls}, {"q6_k", q6_k_int8_impls}, {"iq4_xs", iq4_xs_int8_impls}};

std::vector<Int8Unit> activations(std::size_t n) {
  std::vector<Int8Unit> units(n);
  for (Int8Unit& unit : units) {
    for (signed char& q : unit.q) q = 1;
    for (float& scale : unit.scale) scale = 0.01f;
    for (float& sum : unit.scaled_sum) sum = 0.16f;
  }
  return units;
}

void register_type(const Int8Type& type, const Shape& shape, std::size_t n_tokens) {
  const std::size_t n_out = shape.sizes[0], n_in = shape.sizes[1], n_units = int8_units(n_in);
  if (!fits(type.name, n_in)) return;
  const bool dots = n_tokens < 6;
  register_impls(std::string(dots ? "dot_int8_" : "matmul_int8_") + type.name, type.impls(),
                 shape.name + "/tokens:" + std::to_string(n_tokens), [=](benchmark::State& state, const Int8Kernels* kernels) {
                   Matrices matrices(type.name, n_out, n_in);
                   const std::vector<Int8Unit> x = activations(n_tokens * n_units);
                   std::vector<float> y(n_tokens * n_out);
                   MatmulInt8Fn* matmul = pick(matmul_int8_impls(), highest_isa());
                   for (auto _ : state) {
                     if (dots) kernels->dot(y.data(), n_out, x.data(), n_units, matrices.next(), n_tokens, 0, n_out, n_in);
                     else matmul(y.data(), n_out, x.data(), n_tokens, matrices.next(), kernels->fill, n_tokens, 0, n_out, n_in);
                     benchmark::DoNotOptimize(y.data());
                   }
                   count_weights(state, matrices.bytes());
                   count_flops(state, 2.0 * static_cast<double>(n_tokens * n_out * n_in), Peak::int8);
                 });
}

}  // namespace

void register_benchmarks() {
  for (const Int8Type& type : kTypes)
    for (const Shape& shape : shapes("matmul.txt"))
      for (const std::size_t n_tokens : {1, 4, 6, 8, 10, 12, 16, 64, 512}) register_type(type, shape, n_tokens);
}

}  // namespace ponder::bench
