#include "kernels/matmul_bf16/matmul_bf16.h"

#include "tests/kernels/matmul_cases.h"

using namespace ponder::kernels;
using ponder::core::DType;

TEST_CASE("matmul_bf16: every size, stride and row range is within 1e-5 of an f64 sum, nothing else is written") {
  for_each_supported(matmul_bf16_impls(), [](MatmulFn* fn) { check_matmul_sizes(fn, DType::bf16, 1e-5); });
}

TEST_CASE("matmul_bf16: a token gets the same bits alone and in any batch and row range") {
  for_each_supported(matmul_bf16_impls(), [](MatmulFn* fn) { check_matmul_splits(fn, DType::bf16); });
}

TEST_CASE("matmul_bf16: NaN and infinity reach their own token and row only") {
  for_each_supported(matmul_bf16_impls(), [](MatmulFn* fn) { check_matmul_nonfinite(fn, DType::bf16); });
}

TEST_CASE("matmul_bf16: every code has its exact value") {
  for_each_supported(matmul_bf16_impls(), [](MatmulFn* fn) { check_matmul_codes(fn, DType::bf16); });
}

TEST_CASE("matmul_bf16_fast: every size, stride and row range within the documented error, nothing else is written") {
  for_each_supported(
      matmul_bf16_fast_impls(), [](MatmulFn* fn) { check_matmul_sizes(fn, DType::bf16, 0x1p-8, 0x1p-23); }, 0);
}

TEST_CASE("matmul_bf16_fast: a token gets the same bits in any batch and row range") {
  for_each_supported(
      matmul_bf16_fast_impls(), [](MatmulFn* fn) { check_matmul_splits(fn, DType::bf16); }, 0);
}

TEST_CASE("matmul_bf16_fast: NaN and infinity reach their own token and row only") {
  for_each_supported(
      matmul_bf16_fast_impls(), [](MatmulFn* fn) { check_matmul_nonfinite(fn, DType::bf16); }, 0);
}
