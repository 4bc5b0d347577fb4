// vecmat for any storage type, in the vocabulary of avx2.inl.h / avx512.inl.h, which is included before.
// Each y[t, k] is a lane of its own: one FMA per row, rows ascending, so tiles and tails do not change its bits.
#pragma once

#include "kernels/base/matmul_simd.inl.h"

namespace ponder::kernels {
namespace {

// C vectors of columns from `col` on (with kPart one vector of `part` columns), T tokens, all rows.
template <class Stored, int T, int C, bool kPart>
inline void vecmat_tile(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix& w,
                        std::size_t n_rows, std::size_t col, std::size_t part, int accumulate) {
  static_assert(!kPart || C == 1);
  Vec acc[T][C];
  PONDER_UNROLL
  for (int t = 0; t < T; ++t)
    PONDER_UNROLL
    for (int c = 0; c < C; ++c) {
      const float* start = y + static_cast<std::size_t>(t) * y_stride + col + static_cast<std::size_t>(c) * kLanes;
      if (!accumulate) acc[t][c] = zero();
      else if constexpr (kPart) acc[t][c] = load_part(start, part);
      else acc[t][c] = load(start);
    }
  const auto* data = static_cast<const unsigned char*>(w.data) + col * Stored::kBytes;
  for (std::size_t n = 0; n < n_rows; ++n) {
    const unsigned char* row = data + n * w.row_stride_bytes;
    Vec weights[C];
    PONDER_UNROLL
    for (int c = 0; c < C; ++c) {
      if constexpr (kPart) weights[c] = Stored::load_part(row, part);
      else weights[c] = Stored::load(row + static_cast<std::size_t>(c) * kLanes * Stored::kBytes);
    }
    float scale = 1.0f;
    if constexpr (Stored::kScaled) scale = scale_row(w, n)[col / kScaleBlock] * kFp8Factor;
    PONDER_UNROLL
    for (int t = 0; t < T; ++t) {
      float factor = x[static_cast<std::size_t>(t) * x_stride + n];
      if constexpr (Stored::kScaled) factor *= scale;
      const Vec factors = set1(factor);
      PONDER_UNROLL
      for (int c = 0; c < C; ++c) acc[t][c] = fma(factors, weights[c], acc[t][c]);
    }
  }
  PONDER_UNROLL
  for (int t = 0; t < T; ++t)
    PONDER_UNROLL
    for (int c = 0; c < C; ++c) {
      float* out = y + static_cast<std::size_t>(t) * y_stride + col + static_cast<std::size_t>(c) * kLanes;
      if constexpr (kPart) store_part(out, acc[t][c], part);
      else store(out, acc[t][c]);
    }
}

// Columns [col, col_end), which lie in one block of scales; C is the widest tile.
template <class Stored, int T, int C>
inline void vecmat_columns(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix& w,
                           std::size_t n_rows, std::size_t col, std::size_t col_end, int accumulate) {
  for (; col + C * kLanes <= col_end; col += C * kLanes)
    vecmat_tile<Stored, T, C, false>(y, y_stride, x, x_stride, w, n_rows, col, 0, accumulate);
  for (; col + 2 * kLanes <= col_end; col += 2 * kLanes)
    vecmat_tile<Stored, T, 2, false>(y, y_stride, x, x_stride, w, n_rows, col, 0, accumulate);
  for (; col + kLanes <= col_end; col += kLanes)
    vecmat_tile<Stored, T, 1, false>(y, y_stride, x, x_stride, w, n_rows, col, 0, accumulate);
  if (col < col_end)
    vecmat_tile<Stored, T, 1, true>(y, y_stride, x, x_stride, w, n_rows, col, col_end - col, accumulate);
}

template <class Stored>
inline void vecmat_simd(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix& w,
                        std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                        int accumulate) {
  for (std::size_t col = col_begin; col < col_end;) {
    std::size_t end = col_end;
    if constexpr (Stored::kScaled) {
      const std::size_t block_end = (col / kScaleBlock + 1) * kScaleBlock;
      if (block_end < end) end = block_end;
    }
    std::size_t t = 0;
    for (; t + 4 <= n_tokens; t += 4)
      vecmat_columns<Stored, 4, 3>(y + t * y_stride, y_stride, x + t * x_stride, x_stride, w, n_rows, col, end,
                                   accumulate);
    for (; t < n_tokens; ++t)
      vecmat_columns<Stored, 1, 8>(y + t * y_stride, y_stride, x + t * x_stride, x_stride, w, n_rows, col, end,
                                   accumulate);
    col = end;
  }
}

}  // namespace
}  // namespace ponder::kernels
