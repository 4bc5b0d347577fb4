#include "kernels/matmul_f16/matmul_f16.h"

#include "tests/kernels/matmul_cases.h"

using namespace ponder::kernels;
using ponder::core::DType;

TEST_CASE("matmul_f16: every size, stride and row range is within 1e-5 of an f64 sum, nothing else is written") {
  for_each_supported(matmul_f16_impls(), [](MatmulFn* fn) { check_matmul_sizes(fn, DType::f16, 1e-5); });
}

TEST_CASE("matmul_f16: a token gets the same bits alone and in any batch and row range") {
  for_each_supported(matmul_f16_impls(), [](MatmulFn* fn) { check_matmul_splits(fn, DType::f16); });
}

TEST_CASE("matmul_f16: NaN and infinity reach their own token and row only") {
  for_each_supported(matmul_f16_impls(), [](MatmulFn* fn) { check_matmul_nonfinite(fn, DType::f16); });
}

TEST_CASE("matmul_f16: every code has its exact value") {
  for_each_supported(matmul_f16_impls(), [](MatmulFn* fn) { check_matmul_codes(fn, DType::f16); });
}
