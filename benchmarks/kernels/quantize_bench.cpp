// Making blocks out of f32 rows: bytes/s of weights read, plain and with importances.
#include "kernels/quantize/quantize.h"

#include "benchmarks/kernels/kernel_bench.h"

namespace ponder::bench {
namespace {

using kernels::QuantizeFn;
using kernels::Quantizers;

struct Type {
  const char* name;
  QuantizeFn* Quantizers::*member;
};
constexpr Type kTypes[] = {{"q4_0", &Quantizers::q4_0}, {"q8_0", &Quantizers::q8_0},     {"q3_k", &Quantizers::q3_k},
                           {"q4_k", &Quantizers::q4_k}, {"q6_k", &Quantizers::q6_k},     {"iq4_xs", &Quantizers::iq4_xs}};

}  // namespace

void register_benchmarks() {
  constexpr std::size_t kWidth = 2048;
  for (const Type& type : kTypes)
    for (const bool weighted : {false, true})
      register_impls(std::string("quantize_") + type.name, kernels::quantize_impls(),
                     "row " + std::to_string(kWidth) + (weighted ? "/importance" : ""),
                     [=](benchmark::State& state, const Quantizers* list) {
                       std::vector<float> x(kWidth);
                       for (std::size_t i = 0; i < kWidth; ++i) x[i] = static_cast<float>(i * 2654435761u % 4096) / 1e5f - 0.02f;
                       const std::vector<float> importance(kWidth, 0.5f);
                       std::vector<unsigned char> y(row_bytes_of(type.name, kWidth));
                       for (auto _ : state) {
                         (list->*type.member)(y.data(), x.data(), kWidth, weighted ? importance.data() : nullptr);
                         benchmark::DoNotOptimize(y.data());
                       }
                       count_bytes(state, kWidth * sizeof(float));
                     });
}

}  // namespace ponder::bench
