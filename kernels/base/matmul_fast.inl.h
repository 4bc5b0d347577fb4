// The fast matmul (matmul_bf16.h) for storage types of avx512bf16.inl.h, which is included before.
// Lanes are rows of W: a panel of 32 rows is transposed once per block of tokens and stays in L1, and each activation pair
// is broadcast to it, so that no sum crosses lanes. y holds the sums between panels. Order of every sum: pairs of k
// ascending, whatever the tile.
#pragma once

#include "kernels/base/matmul_simd.inl.h"

namespace ponder::kernels {
namespace {

constexpr std::size_t kFastRows = 32;
constexpr std::size_t kFastColumns = 256;  // of a panel: 16 KiB
constexpr std::size_t kFastTokens = 96;    // of a block: 48 KiB of activations, converted once for all rows
constexpr int kFastTile = 14;              // 14 x 2 accumulators, two of weights, one activation of 32 registers
constexpr std::size_t kFastPairs = kFastColumns / 2;

template <int T>
inline void fast_tile(float* y, std::size_t y_stride, const std::uint32_t* x, const std::uint32_t* panel,
                      std::size_t n_pairs, __mmask16 rows0, __mmask16 rows1, bool first) {
  Vec acc[T][2];
  PONDER_UNROLL
  for (int t = 0; t < T; ++t) {
    const float* sums = y + static_cast<std::size_t>(t) * y_stride;
    acc[t][0] = first ? zero() : _mm512_maskz_loadu_ps(rows0, sums);
    acc[t][1] = first ? zero() : _mm512_maskz_loadu_ps(rows1, sums + kLanes);
  }
  for (std::size_t p = 0; p < n_pairs; ++p) {
    const __m512i w0 = _mm512_load_si512(panel + p * kFastRows), w1 = _mm512_load_si512(panel + p * kFastRows + kLanes);
    PONDER_UNROLL
    for (int t = 0; t < T; ++t) {
      const __m512i pair = _mm512_set1_epi32(static_cast<int>(x[static_cast<std::size_t>(t) * kFastPairs + p]));
      acc[t][0] = dot_pairs(acc[t][0], w0, pair);
      acc[t][1] = dot_pairs(acc[t][1], w1, pair);
    }
  }
  PONDER_UNROLL
  for (int t = 0; t < T; ++t) {
    float* sums = y + static_cast<std::size_t>(t) * y_stride;
    _mm512_mask_storeu_ps(sums, rows0, acc[t][0]);
    _mm512_mask_storeu_ps(sums + kLanes, rows1, acc[t][1]);
  }
}

template <int T>
inline void fast_tile_of(std::size_t n_tokens, float* y, std::size_t y_stride, const std::uint32_t* x,
                         const std::uint32_t* panel, std::size_t n_pairs, __mmask16 rows0, __mmask16 rows1, bool first) {
  if (n_tokens == T) fast_tile<T>(y, y_stride, x, panel, n_pairs, rows0, rows1, first);
  else if constexpr (T > 1) fast_tile_of<T - 1>(n_tokens, y, y_stride, x, panel, n_pairs, rows0, rows1, first);
}

// Rows [row, row + n_rows) and columns [k, k + count) as panel [pairs, kFastRows]; absent rows and columns are zeros.
template <class Pairs>
inline void fill_panel(std::uint32_t* panel, const WeightMatrix& w, std::size_t row, std::size_t n_rows, std::size_t k,
                       std::size_t count) {
  for (std::size_t half = 0; half < kFastRows; half += kLanes)
    for (std::size_t at = 0; at < count || at == 0; at += 2 * kLanes) {
      __m512i v[kLanes];
      for (std::size_t r = 0; r < kLanes; ++r) {
        v[r] = _mm512_setzero_si512();
        if (half + r >= n_rows || at >= count) continue;
        const std::size_t n = row + half + r;
        float scale = 1.0f;
        if constexpr (Pairs::kScaled) scale = scale_row(w, n)[(k + at) / kScaleBlock];
        v[r] = Pairs::load(static_cast<const unsigned char*>(w.data) + n * w.row_stride_bytes + (k + at) * Pairs::kBytes,
                           count - at, scale);
      }
      transpose_pairs(v);
      for (std::size_t p = 0; p < kLanes; ++p)
        _mm512_store_si512(panel + (at / 2 + p) * kFastRows + half, v[p]);
    }
}

template <class Pairs>
inline void matmul_fast(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix& w,
                        std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  alignas(64) std::uint32_t panel[kFastPairs * kFastRows];
  alignas(64) std::uint32_t block[kFastTokens * kFastPairs];
  for (std::size_t t0 = 0; t0 < n_tokens; t0 += kFastTokens) {
    const std::size_t tokens = n_tokens - t0 < kFastTokens ? n_tokens - t0 : kFastTokens;
    const std::size_t n_tiles = (tokens + kFastTile - 1) / kFastTile;
    for (std::size_t k = 0; k < n_in || k == 0; k += kFastColumns) {
      const std::size_t count = n_in - k < kFastColumns ? n_in - k : kFastColumns;
      for (std::size_t t = 0; t < tokens; ++t)
        for (std::size_t at = 0; at < count; at += 2 * kLanes)
          _mm512_store_si512(block + t * kFastPairs + at / 2, pairs_of_floats(x + (t0 + t) * x_stride + k + at, count - at));
      for (std::size_t row = row_begin; row < row_end; row += kFastRows) {
        const std::size_t rows = row_end - row < kFastRows ? row_end - row : kFastRows;
        fill_panel<Pairs>(panel, w, row, rows, k, count);
        const auto rows0 = static_cast<__mmask16>(rows >= kLanes ? 0xffffu : (1u << rows) - 1u);
        const auto rows1 = static_cast<__mmask16>(rows >= kFastRows ? 0xffffu : rows > kLanes ? (1u << (rows - kLanes)) - 1u : 0u);
        for (std::size_t tile = 0; tile < n_tiles; ++tile) {  // of nearly equal size
          const std::size_t first = tile * tokens / n_tiles, end = (tile + 1) * tokens / n_tiles;
          fast_tile_of<kFastTile>(end - first, y + (t0 + first) * y_stride + row, y_stride, block + first * kFastPairs,
                                  panel, (count + 1) / 2, rows0, rows1, k == 0);
        }
      }
    }
  }
}

}  // namespace
}  // namespace ponder::kernels
