#include "kernels/vecmat_f16/vecmat_f16.h"

#include "tests/kernels/vecmat_cases.h"

using namespace ponder::kernels;
using ponder::core::DType;

TEST_CASE("vecmat_f16: every size, stride and column range is within 1e-5 of an f64 sum, nothing else is written") {
  for_each_supported(vecmat_f16_impls(), [](VecmatFn* fn) { check_vecmat_sizes(fn, DType::f16); });
}

TEST_CASE("vecmat_f16: y has the same bits in any batch and column range, and with its rows in pieces") {
  for_each_supported(vecmat_f16_impls(), [](VecmatFn* fn) {
    if (fn != vecmat_f16_ref) check_vecmat_splits(fn, DType::f16);  // the reference rounds each piece from f64
  });
}

TEST_CASE("vecmat_f16: NaN reaches its own token and column only") {
  for_each_supported(vecmat_f16_impls(), [](VecmatFn* fn) { check_vecmat_nonfinite(fn, DType::f16); });
}

TEST_CASE("vecmat_f16: every code has its exact value") {
  for_each_supported(vecmat_f16_impls(), [](VecmatFn* fn) { check_vecmat_codes(fn, DType::f16); });
}
