// What every vecmat kernel must do, for one weight type: see kernels/vecmat_f32/vecmat_f32.h.
#pragma once

#include "kernels/vecmat_f32/vecmat_f32.h"
#include "tests/kernels/weight_types.h"

namespace ponder::kernels {

struct VecmatRun {
  std::size_t n_tokens, n_rows, n_cols;
  std::size_t first_row = 0;
  std::size_t skip = 0, drop = 0;  // columns left out at the start and the end
};

inline void check_vecmat(VecmatFn* fn, core::DType type, const VecmatRun& run) {
  CAPTURE(run.n_tokens);
  CAPTURE(run.n_rows);
  CAPTURE(run.n_cols);
  CAPTURE(run.first_row);
  for (int accumulate : {0, 1}) {
    CAPTURE(accumulate);
    Random random(run.n_tokens * 1000003 + run.n_rows * 1009 + run.n_cols);
    const TestMatrix w(type, run.n_rows, run.n_cols, random, 3, run.first_row);
    const std::size_t x_stride = run.n_rows + 5, y_stride = run.n_cols + 3;
    const Input<float> x(run.n_tokens == 0 ? 0 : (run.n_tokens - 1) * x_stride + run.n_rows);
    fill(x, random);
    Output<float> y(run.n_tokens * y_stride);
    const std::size_t begin = std::min(run.skip, run.n_cols), end = std::max(begin, run.n_cols - std::min(run.drop, run.n_cols));
    const auto start = [](std::size_t t, std::size_t k) { return static_cast<float>(t) - static_cast<float>(k) * 0.25f; };
    if (accumulate)
      for (std::size_t t = 0; t < run.n_tokens; ++t)
        for (std::size_t k = begin; k < end; ++k) y[t * y_stride + k] = start(t, k);
    const WeightMatrix view = w.view();
    fn(y.data(), y_stride, x.data(), x_stride, &view, run.n_tokens, run.n_rows, begin, end, accumulate);
    std::size_t n_wrong = 0, n_outside = 0;
    for (std::size_t t = 0; t < run.n_tokens; ++t)
      for (std::size_t k = 0; k < y_stride; ++k) {
        if (k < begin || k >= end) {
          n_outside += !y.untouched(t * y_stride + k);
          continue;
        }
        double sum = accumulate ? double{start(t, k)} : 0.0, magnitude = std::abs(sum);
        for (std::size_t n = 0; n < run.n_rows; ++n) {
          const double product = double{x[t * x_stride + n]} * w.value(n, k);
          sum += product;
          magnitude += std::abs(product);
        }
        n_wrong += !near(y[t * y_stride + k], sum, 1e-5 * magnitude);
      }
    CHECK(n_wrong == 0);
    CHECK(n_outside == 0);
    CHECK(y.guards_intact());
  }
}

inline void check_vecmat_sizes(VecmatFn* fn, core::DType type) {
  for (std::size_t n_tokens : {0, 1, 2, 3, 4, 5, 8, 9})
    for (std::size_t n_cols : kOddSizes) check_vecmat(fn, type, {n_tokens, 9, n_cols});
  for (std::size_t n_rows : kOddSizes)
    for (std::size_t n_tokens : {1, 6}) check_vecmat(fn, type, {n_tokens, n_rows, 33});
  for (std::size_t n_cols : {24, 47, 48, 49, 127, 128, 129, 200, 256, 300})
    for (std::size_t n_tokens : {1, 5}) check_vecmat(fn, type, {n_tokens, 12, n_cols});
  for (std::size_t skip : {1, 3, 8, 16, 20})
    for (std::size_t drop : {0, 1, 9}) check_vecmat(fn, type, {5, 10, 60, 0, skip, drop});
  check_vecmat(fn, type, {16, 128, 512});  // the key half of kv_b_proj, one head of DeepSeek-V2-Lite
}

// y has the same bits whatever tokens and columns are computed together, and when its rows come in pieces.
inline void check_vecmat_splits(VecmatFn* fn, core::DType type) {
  constexpr std::size_t kTokens = 11, kRows = 70, kCols = 270;
  Random random(7);
  const TestMatrix w(type, kRows, kCols, random, 1);
  const Input<float> x(kTokens * kRows);
  fill(x, random);
  const WeightMatrix view = w.view();
  std::vector<float> whole(kTokens * kCols), part(kTokens * kCols);
  fn(whole.data(), kCols, x.data(), kRows, &view, kTokens, kRows, 0, kCols, 0);
  for (std::size_t n_tokens : {1, 2, 3, 4, 5}) {
    CAPTURE(n_tokens);
    for (std::size_t t = 0; t < kTokens; t += n_tokens)
      fn(part.data() + t * kCols, kCols, x.data() + t * kRows, kRows, &view, std::min(n_tokens, kTokens - t), kRows, 0, kCols, 0);
    CHECK(same_bits(part.data(), whole.data(), whole.size()));
  }
  for (std::size_t n_cols : {1, 5, 8, 16, 31, 48, 130}) {
    CAPTURE(n_cols);
    std::fill(part.begin(), part.end(), kNan);
    for (std::size_t k = 0; k < kCols; k += n_cols)
      fn(part.data(), kCols, x.data(), kRows, &view, kTokens, kRows, k, std::min(k + n_cols, kCols), 0);
    CHECK(same_bits(part.data(), whole.data(), whole.size()));
  }
  if (type == core::DType::f8_e4m3) return;  // rows in pieces would need first_row to move along
  for (std::size_t n_rows : {1, 7, 64}) {
    CAPTURE(n_rows);
    for (std::size_t n = 0; n < kRows; n += n_rows) {
      WeightMatrix rows = view;
      rows.data = static_cast<const unsigned char*>(view.data) + n * view.row_stride_bytes;
      fn(part.data(), kCols, x.data() + n, kRows, &rows, kTokens, std::min(n_rows, kRows - n), 0, kCols, n > 0);
    }
    CHECK(same_bits(part.data(), whole.data(), whole.size()));
  }
}

inline void check_vecmat_nonfinite(VecmatFn* fn, core::DType type) {
  constexpr std::size_t kRows = 6, kCols = 37, kTokens = 5;
  Random random(3);
  TestMatrix w(type, kRows, kCols, random, 0);
  const Input<float> x(kTokens * kRows);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 1;
  w.set(2, 33, kNan);
  std::vector<float> y(kTokens * kCols);
  const WeightMatrix view = w.view();
  fn(y.data(), kCols, x.data(), kRows, &view, kTokens, kRows, 0, kCols, 0);
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(std::isnan(y[i]) == (i % kCols == 33));
  w.set(2, 33, 1);
  x[3 * kRows + 2] = kNan;
  fn(y.data(), kCols, x.data(), kRows, &view, kTokens, kRows, 0, kCols, 0);
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(std::isnan(y[i]) == (i / kCols == 3));
}

// Every code, in full and partial vectors, times 1 gives its exact value.
inline void check_vecmat_codes(VecmatFn* fn, core::DType type) {
  const std::size_t n_codes = type == core::DType::f8_e4m3 ? 256 : 65536;
  Random random(1);
  TestMatrix w(type, 1, n_codes, random, 0);
  for (std::size_t k = 0; k < n_codes; ++k) w.set_bits(0, k, static_cast<std::uint32_t>(k));
  if (type == core::DType::f8_e4m3)
    for (std::size_t k = 0; k < n_codes; k += 128) w.scale(0, k) = 0.5f;
  const float ones[5] = {1, 1, 1, 1, 1};
  std::vector<float> y(5 * n_codes);
  const WeightMatrix view = w.view();
  for (std::size_t split : {std::size_t{0}, std::size_t{5}}) {  // columns from 5 on meet other lanes and tails
    fn(y.data(), n_codes, ones, 1, &view, 5, 1, 0, split, 0);
    fn(y.data(), n_codes, ones, 1, &view, 5, 1, split, n_codes, 0);
    std::size_t n_wrong = 0;
    for (std::size_t i = 0; i < y.size(); ++i)
      n_wrong += !same_value(y[i], static_cast<float>(w.value(0, i % n_codes)) + 0.0f);
    CHECK(n_wrong == 0);
  }
}

}  // namespace ponder::kernels
