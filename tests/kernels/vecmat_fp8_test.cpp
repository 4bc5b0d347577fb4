#include "kernels/vecmat_fp8/vecmat_fp8.h"

#include "tests/kernels/vecmat_cases.h"

using namespace ponder::kernels;
using ponder::core::DType;

TEST_CASE("vecmat_fp8: every size, stride and column range is within 1e-5 of an f64 sum, nothing else is written") {
  for_each_supported(vecmat_fp8_impls(), [](VecmatFn* fn) { check_vecmat_sizes(fn, DType::f8_e4m3); });
}

TEST_CASE("vecmat_fp8: y has the same bits in any batch and column range, and with its rows in pieces") {
  for_each_supported(vecmat_fp8_impls(), [](VecmatFn* fn) {
    if (fn != vecmat_fp8_ref) check_vecmat_splits(fn, DType::f8_e4m3);  // the reference rounds each piece from f64
  });
}

TEST_CASE("vecmat_fp8: NaN reaches its own token and column only") {
  for_each_supported(vecmat_fp8_impls(), [](VecmatFn* fn) { check_vecmat_nonfinite(fn, DType::f8_e4m3); });
}

TEST_CASE("vecmat_fp8: every code has its exact value") {
  for_each_supported(vecmat_fp8_impls(), [](VecmatFn* fn) { check_vecmat_codes(fn, DType::f8_e4m3); });
}

TEST_CASE("vecmat_fp8: ragged blocks of scales, rows that start anywhere in a block") {
  for_each_supported(vecmat_fp8_impls(), [](VecmatFn* fn) {
    for (std::size_t first_row : {0, 1, 100, 127, 128, 250})
      for (std::size_t n_cols : {100, 128, 200, 256, 260})
        for (std::size_t n_tokens : {1, 5}) check_vecmat(fn, DType::f8_e4m3, {n_tokens, 37, n_cols, first_row, 2, 1});
  });
}
