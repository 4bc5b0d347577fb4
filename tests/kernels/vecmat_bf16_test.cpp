#include "kernels/vecmat_bf16/vecmat_bf16.h"

#include "tests/kernels/vecmat_cases.h"

using namespace ponder::kernels;
using ponder::core::DType;

TEST_CASE("vecmat_bf16: every size, stride and column range is within 1e-5 of an f64 sum, nothing else is written") {
  for_each_supported(vecmat_bf16_impls(), [](VecmatFn* fn) { check_vecmat_sizes(fn, DType::bf16); });
}

TEST_CASE("vecmat_bf16: y has the same bits in any batch and column range, and with its rows in pieces") {
  for_each_supported(vecmat_bf16_impls(), [](VecmatFn* fn) {
    if (fn != vecmat_bf16_ref) check_vecmat_splits(fn, DType::bf16);  // the reference rounds each piece from f64
  });
}

TEST_CASE("vecmat_bf16: NaN reaches its own token and column only") {
  for_each_supported(vecmat_bf16_impls(), [](VecmatFn* fn) { check_vecmat_nonfinite(fn, DType::bf16); });
}

TEST_CASE("vecmat_bf16: every code has its exact value") {
  for_each_supported(vecmat_bf16_impls(), [](VecmatFn* fn) { check_vecmat_codes(fn, DType::bf16); });
}
