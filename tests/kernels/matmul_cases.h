// What every matmul kernel must do, for one weight type: see kernels/matmul_f32/matmul_f32.h.
#pragma once

#include "kernels/matmul_f32/matmul_f32.h"
#include "tests/kernels/weight_types.h"

namespace ponder::kernels {

struct MatmulRun {
  std::size_t n_tokens, n_rows, n_in;
  std::size_t first_row = 0;       // of the whole matrix: moves the scale blocks
  std::size_t skip = 0, drop = 0;  // rows left out at the start and the end
};

// One run on unaligned, padded memory against an f64 sum of our own, within (error + n_in * error_per_column) sum |x W|.
inline void check_matmul(MatmulFn* fn, core::DType type, const MatmulRun& run, double error, double error_per_column = 0) {
  CAPTURE(run.n_tokens);
  CAPTURE(run.n_rows);
  CAPTURE(run.n_in);
  CAPTURE(run.first_row);
  Random random(run.n_tokens * 1000003 + run.n_rows * 1009 + run.n_in);
  const TestMatrix w(type, run.n_rows, run.n_in, random, 3, run.first_row);
  const std::size_t x_stride = run.n_in + 5, y_stride = run.n_rows + 3;
  const Input<float> x(run.n_tokens == 0 ? 0 : (run.n_tokens - 1) * x_stride + run.n_in);
  fill(x, random);
  Output<float> y(run.n_tokens * y_stride);
  const WeightMatrix view = w.view();
  const std::size_t begin = std::min(run.skip, run.n_rows), end = std::max(begin, run.n_rows - std::min(run.drop, run.n_rows));
  fn(y.data(), y_stride, x.data(), x_stride, &view, run.n_tokens, begin, end, run.n_in);
  std::size_t n_wrong = 0, n_outside = 0;
  for (std::size_t t = 0; t < run.n_tokens; ++t)
    for (std::size_t n = 0; n < y_stride; ++n) {
      if (n < begin || n >= end) {
        n_outside += !y.untouched(t * y_stride + n);
        continue;
      }
      double sum = 0, magnitude = 0;
      for (std::size_t k = 0; k < run.n_in; ++k) {
        const double product = double{x[t * x_stride + k]} * w.value(n, k);
        sum += product;
        magnitude += std::abs(product);
      }
      n_wrong += !near(y[t * y_stride + n], sum, (error + error_per_column * static_cast<double>(run.n_in)) * magnitude);
    }
  CHECK(n_wrong == 0);
  CHECK(n_outside == 0);
  CHECK(y.guards_intact());
}

inline void check_matmul_sizes(MatmulFn* fn, core::DType type, double error, double error_per_column = 0) {
  for (std::size_t n_tokens : {0, 1, 2, 3, 4, 5, 6, 7, 8, 13})
    for (std::size_t n_in : kOddSizes) check_matmul(fn, type, {n_tokens, 9, n_in}, error, error_per_column);
  for (std::size_t n_rows : kOddSizes)
    for (std::size_t n_tokens : {1, 7}) check_matmul(fn, type, {n_tokens, n_rows, 33}, error, error_per_column);
  for (std::size_t n_tokens : {16, 31, 32, 33, 47, 48, 49, 64, 65, 97})
    check_matmul(fn, type, {n_tokens, 19, 70}, error, error_per_column);
  for (std::size_t n_in : {31, 32, 63, 64, 65, 127, 128, 129, 255, 256, 257, 512, 513, 700})
    for (std::size_t n_tokens : {1, 2, 3, 7, 34}) check_matmul(fn, type, {n_tokens, 14, n_in}, error, error_per_column);
  for (std::size_t skip : {1, 2, 5, 8, 12})
    for (std::size_t drop : {0, 1, 3})
      for (std::size_t n_tokens : {1, 3, 18}) check_matmul(fn, type, {n_tokens, 30, 40, 0, skip, drop}, error, error_per_column);
  check_matmul(fn, type, {9, 576, 2048}, error, error_per_column);  // kv_a_proj_with_mqa of DeepSeek-V2-Lite
}

// A row of y has the same bits whatever tokens and rows it is computed with.
inline void check_matmul_splits(MatmulFn* fn, core::DType type) {
  constexpr std::size_t kTokens = 103, kRows = 45, kIn = 330;
  Random random(7);
  const TestMatrix w(type, kRows, kIn, random, 1, 100);
  const Input<float> x(kTokens * kIn);
  fill(x, random);
  const WeightMatrix view = w.view();
  std::vector<float> whole(kTokens * kRows), part(kTokens * kRows);
  fn(whole.data(), kRows, x.data(), kIn, &view, kTokens, 0, kRows, kIn);
  for (std::size_t n_tokens : {1, 2, 3, 4, 5, 6, 7, 16, 32, 48, 49, 64, 100}) {
    CAPTURE(n_tokens);
    std::fill(part.begin(), part.end(), kNan);
    for (std::size_t t = 0; t < kTokens; t += n_tokens)
      fn(part.data() + t * kRows, kRows, x.data() + t * kIn, kIn, &view, std::min(n_tokens, kTokens - t), 0, kRows, kIn);
    CHECK(same_bits(part.data(), whole.data(), whole.size()));
  }
  for (std::size_t n_rows : {1, 2, 3, 4, 5, 7, 8, 11, 12, 16, 31, 32}) {
    CAPTURE(n_rows);
    for (std::size_t n_tokens : {kTokens, std::size_t{1}, std::size_t{2}, std::size_t{3}}) {
      std::fill(part.begin(), part.end(), kNan);
      for (std::size_t n = 0; n < kRows; n += n_rows)
        fn(part.data(), kRows, x.data(), kIn, &view, n_tokens, n, std::min(n + n_rows, kRows), kIn);
      CHECK(same_bits(part.data(), whole.data(), n_tokens * kRows));
    }
  }
}

// NaN and infinity in x reach the rows of their token, those in W the columns of their row, and nothing else.
inline void check_matmul_nonfinite(MatmulFn* fn, core::DType type) {
  constexpr std::size_t kRows = 10, kIn = 37;
  for (std::size_t n_tokens : {1, 3, 9})
    for (std::size_t bad_k : {0, 17, 36}) {
      Random random(3);
      TestMatrix w(type, kRows, kIn, random, 0);
      for (std::size_t n = 0; n < kRows; ++n) w.set(n, bad_k, 1.0f);
      const Input<float> x(n_tokens * kIn);
      fill(x, random);
      const std::size_t bad_token = n_tokens / 2;
      std::vector<float> y(n_tokens * kRows);
      const WeightMatrix view = w.view();
      for (float bad : {kNan, kInf, -kInf}) {
        x[bad_token * kIn + bad_k] = bad;
        fn(y.data(), kRows, x.data(), kIn, &view, n_tokens, 0, kRows, kIn);
        for (std::size_t t = 0; t < n_tokens; ++t)
          for (std::size_t n = 0; n < kRows; ++n)
            CHECK((t == bad_token ? same_value(y[t * kRows + n], bad) : std::isfinite(y[t * kRows + n])));
      }
      x[bad_token * kIn + bad_k] = 1;
      for (std::size_t t = 0; t < n_tokens; ++t) x[t * kIn + bad_k] = 1;
      w.set(4, bad_k, kNan);
      fn(y.data(), kRows, x.data(), kIn, &view, n_tokens, 0, kRows, kIn);
      for (std::size_t t = 0; t < n_tokens; ++t)
        for (std::size_t n = 0; n < kRows; ++n) CHECK(std::isnan(y[t * kRows + n]) == (n == 4));
    }
}

// Every code of a 16-bit or 8-bit type, at every place of a vector, times 1 gives its exact value.
inline void check_matmul_codes(MatmulFn* fn, core::DType type) {
  const std::size_t n_codes = type == core::DType::f8_e4m3 ? 256 : 65536, n_rows = std::min<std::size_t>(n_codes, 4096);
  for (std::size_t n_in : {1, 16, 40})
    for (std::size_t first = 0; first < n_codes; first += n_rows) {
      Random random(1);
      TestMatrix w(type, n_rows, n_in, random, 0);
      if (type == core::DType::f8_e4m3)
        for (std::size_t n = 0; n < n_rows; n += 128)
          for (std::size_t k = 0; k < n_in; k += 128) w.scale(n, k) = 0.5f;
      for (std::size_t n = 0; n < n_rows; ++n)
        for (std::size_t k = 0; k < n_in; ++k) w.set_bits(n, k, k == n % n_in ? static_cast<std::uint32_t>(first + n) : 0);
      const Input<float> x(5 * n_in);
      for (std::size_t i = 0; i < x.size(); ++i) x[i] = 1;
      std::vector<float> y(5 * n_rows);
      const WeightMatrix view = w.view();
      fn(y.data(), n_rows, x.data(), n_in, &view, 5, 0, n_rows, n_in);
      std::size_t n_wrong = 0;
      for (std::size_t t = 0; t < 5; ++t)
        for (std::size_t n = 0; n < n_rows; ++n) {
          // A sum that starts at +0 makes +0 of -0.
          const float want = static_cast<float>(w.value(n, n % n_in)) + 0.0f;
          n_wrong += !same_value(y[t * n_rows + n], want);
        }
      CHECK(n_wrong == 0);
    }
}

}  // namespace ponder::kernels
