#include "kernels/vecmat_f32/vecmat_f32.h"

#include "tests/kernels/vecmat_cases.h"

using namespace ponder::kernels;
using ponder::core::DType;

TEST_CASE("vecmat_f32: every size, stride and column range is within 1e-5 of an f64 sum, nothing else is written") {
  for_each_supported(vecmat_f32_impls(), [](VecmatFn* fn) { check_vecmat_sizes(fn, DType::f32); });
}

TEST_CASE("vecmat_f32: y has the same bits in any batch and column range, and with its rows in pieces") {
  for_each_supported(vecmat_f32_impls(), [](VecmatFn* fn) {
    if (fn != vecmat_f32_ref) check_vecmat_splits(fn, DType::f32);  // the reference rounds each piece from f64
  });
}

TEST_CASE("vecmat_f32: NaN reaches its own token and column only") {
  for_each_supported(vecmat_f32_impls(), [](VecmatFn* fn) { check_vecmat_nonfinite(fn, DType::f32); });
}
