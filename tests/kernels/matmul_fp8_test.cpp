#include "kernels/matmul_fp8/matmul_fp8.h"

#include "tests/kernels/matmul_cases.h"

using namespace ponder::kernels;
using ponder::core::DType;

TEST_CASE("matmul_fp8: every size, stride and row range is within 1e-5 of an f64 sum, nothing else is written") {
  for_each_supported(matmul_fp8_impls(), [](MatmulFn* fn) { check_matmul_sizes(fn, DType::f8_e4m3, 1e-5); });
}

TEST_CASE("matmul_fp8: a token gets the same bits alone and in any batch and row range") {
  for_each_supported(matmul_fp8_impls(), [](MatmulFn* fn) { check_matmul_splits(fn, DType::f8_e4m3); });
}

TEST_CASE("matmul_fp8: NaN and infinity reach their own token and row only") {
  for_each_supported(matmul_fp8_impls(), [](MatmulFn* fn) { check_matmul_nonfinite(fn, DType::f8_e4m3); });
}

TEST_CASE("matmul_fp8: every code has its exact value") {
  for_each_supported(matmul_fp8_impls(), [](MatmulFn* fn) { check_matmul_codes(fn, DType::f8_e4m3); });
}

TEST_CASE("matmul_fp8: ragged blocks of scales, rows that start anywhere in a block") {
  for_each_supported(matmul_fp8_impls(), [](MatmulFn* fn) {
    for (std::size_t first_row : {0, 1, 100, 127, 128, 130, 250})
      for (std::size_t n_in : {100, 128, 200, 256, 260, 384})
        for (std::size_t n_tokens : {1, 2, 3, 50})
          check_matmul(fn, DType::f8_e4m3, {n_tokens, 37, n_in, first_row, 2, 1}, 1e-5);
    check_matmul(fn, DType::f8_e4m3, {6, 300, 300, 77, 0, 0}, 1e-5);
  });
}

TEST_CASE("matmul_fp8_fast: every size, stride and row range within the documented error, nothing else is written") {
  for_each_supported(
      matmul_fp8_fast_impls(), [](MatmulFn* fn) { check_matmul_sizes(fn, DType::f8_e4m3, 0x1p-7 + 0x1p-15, 0x1p-23); }, 0);
}

TEST_CASE("matmul_fp8_fast: a token gets the same bits in any batch and row range") {
  for_each_supported(
      matmul_fp8_fast_impls(), [](MatmulFn* fn) { check_matmul_splits(fn, DType::f8_e4m3); }, 0);
}

TEST_CASE("matmul_fp8_fast: NaN and infinity reach their own token and row only") {
  for_each_supported(
      matmul_fp8_fast_impls(), [](MatmulFn* fn) { check_matmul_nonfinite(fn, DType::f8_e4m3); }, 0);
}

TEST_CASE("matmul_fp8_fast: ragged blocks of scales, rows that start anywhere in a block") {
  for_each_supported(
      matmul_fp8_fast_impls(),
      [](MatmulFn* fn) {
        for (std::size_t first_row : {0, 1, 100, 127, 128, 130, 250})
          for (std::size_t n_in : {100, 128, 200, 256, 260, 384})
            check_matmul(fn, DType::f8_e4m3, {50, 37, n_in, first_row, 2, 1}, 0x1p-7 + 0x1p-15, 0x1p-23);
      },
      0);
}
