#include "kernels/matmul_f32/matmul_f32.h"

#include "tests/kernels/matmul_cases.h"

using namespace ponder::kernels;
using ponder::core::DType;

TEST_CASE("matmul_f32: every size, stride and row range is within 1e-5 of an f64 sum, nothing else is written") {
  for_each_supported(matmul_f32_impls(), [](MatmulFn* fn) { check_matmul_sizes(fn, DType::f32, 1e-5); });
}

TEST_CASE("matmul_f32: a token gets the same bits alone and in any batch and row range") {
  for_each_supported(matmul_f32_impls(), [](MatmulFn* fn) { check_matmul_splits(fn, DType::f32); });
}

TEST_CASE("matmul_f32: NaN and infinity reach their own token and row only") {
  for_each_supported(matmul_f32_impls(), [](MatmulFn* fn) { check_matmul_nonfinite(fn, DType::f32); });
}

TEST_CASE("matmul_f32: denormal activations and weights are not flushed") {
  for_each_supported(matmul_f32_impls(), [](MatmulFn* fn) {
    Random random(1);
    TestMatrix w(DType::f32, 3, 20, random, 0);
    for (std::size_t n = 0; n < 3; ++n)
      for (std::size_t k = 0; k < 20; ++k) w.set(n, k, k == 19 ? 1.0f : 0.0f);
    w.set(1, 19, kDenormal);
    const Input<float> x(20);
    x[19] = kDenormal;
    float y[3];
    const WeightMatrix view = w.view();
    fn(y, 3, x.data(), 20, &view, 1, 0, 3, 20);
    CHECK(y[0] == kDenormal);
    x[19] = 1;
    fn(y, 3, x.data(), 20, &view, 1, 0, 3, 20);
    CHECK(y[1] == kDenormal);
  });
}
