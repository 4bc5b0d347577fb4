// The block types of GGUF: matrix products with one token (bytes/s of weights) and many (FLOP/s), the product from the left,
// and decoding to f32. A kernel is measured by its line here.
#include "benchmarks/kernels/matmul_bench.inl.h"
#include "benchmarks/kernels/vecmat_bench.inl.h"
#include "kernels/base/table.h"

namespace ponder::bench {
namespace {

using namespace kernels;

struct Product {
  const char* type;
  const char* op;
  ImplList<MatmulFn> (*impls)();
  Peak peak;  // of the unit that it multiplies with
};
constexpr Product kProducts[] = {
    {"q4_0", "matmul_q4_0", matmul_q4_0_impls, Peak::f32},       {"q4_1", "matmul_q4_1", matmul_q4_1_impls, Peak::f32},
    {"q5_0", "matmul_q5_0", matmul_q5_0_impls, Peak::f32},       {"q5_1", "matmul_q5_1", matmul_q5_1_impls, Peak::f32},
    {"q8_0", "matmul_q8_0", matmul_q8_0_impls, Peak::f32},       {"q2_k", "matmul_q2_k", matmul_q2_k_impls, Peak::f32},
    {"q3_k", "matmul_q3_k", matmul_q3_k_impls, Peak::f32},       {"q4_k", "matmul_q4_k", matmul_q4_k_impls, Peak::f32},
    {"q5_k", "matmul_q5_k", matmul_q5_k_impls, Peak::f32},       {"q6_k", "matmul_q6_k", matmul_q6_k_impls, Peak::f32},
    {"iq4_nl", "matmul_iq4_nl", matmul_iq4_nl_impls, Peak::f32}, {"iq4_xs", "matmul_iq4_xs", matmul_iq4_xs_impls, Peak::f32},
};

struct LeftProduct {
  const char* type;
  const char* op;
  ImplList<VecmatFn> (*impls)();
};
constexpr LeftProduct kLeftProducts[] = {{"q5_0", "vecmat_q5_0", vecmat_q5_0_impls},
                                         {"q8_0", "vecmat_q8_0", vecmat_q8_0_impls},
                                         {"q4_k", "vecmat_q4_k", vecmat_q4_k_impls}};

struct Decoder {
  const char* type;
  const char* op;
  ImplList<ToF32Fn> (*impls)();
};
constexpr Decoder kDecoders[] = {{"q4_0", "q4_0_to_f32", q4_0_to_f32_impls}, {"q5_0", "q5_0_to_f32", q5_0_to_f32_impls},
                                 {"q8_0", "q8_0_to_f32", q8_0_to_f32_impls}, {"q4_k", "q4_k_to_f32", q4_k_to_f32_impls},
                                 {"q5_k", "q5_k_to_f32", q5_k_to_f32_impls}, {"q6_k", "q6_k_to_f32", q6_k_to_f32_impls}};

void register_decoder(const Decoder& decoder) {
  constexpr std::size_t kWidth = 2048;
  register_impls(decoder.op, decoder.impls(), "row " + std::to_string(kWidth), [type = decoder.type](benchmark::State& state, ToF32Fn* fn) {
    Matrices rows(type, 1, kWidth);
    std::vector<float> y(kWidth);
    for (auto _ : state) {
      fn(y.data(), rows.next()->data, kWidth);
      benchmark::DoNotOptimize(y.data());
    }
    count_weights(state, rows.bytes());
  });
}

}  // namespace

void register_benchmarks() {
  for (const Product& p : kProducts) register_matmul(p.type, p.op, p.impls(), {1, 4, 16, 64, 512}, p.peak);
  for (const LeftProduct& p : kLeftProducts) register_vecmat(p.type, p.op, p.impls());
  for (const Decoder& d : kDecoders) register_decoder(d);
}

}  // namespace ponder::bench
