// matmul for any storage type, in the vocabulary of avx2.inl.h / avx512.inl.h, which is included before.
// Order of every sum, whatever the tile: lane k % kLanes of one vector takes k ascending, then sum_lanes(). With block
// scales the vector of each 128 columns is summed by itself and added by one FMA with its scale.
#pragma once

#include "kernels/base/matrix.h"

#define PONDER_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define PONDER_UNROLL PONDER_PRAGMA(unroll)
#else
#define PONDER_UNROLL PONDER_PRAGMA(GCC unroll 16)
#endif

namespace ponder::kernels {
namespace {

constexpr std::size_t kScaleBlock = 128;
constexpr float kFp8Factor = 256.0f;  // see StoredFp8
// A panel of weights is converted to f32 once per kTokenBlock tokens and stays in L1: 12 rows of 256 are 12 KiB.
constexpr std::size_t kPanelRows = 12;
constexpr std::size_t kPanelColumns = 256;
constexpr std::size_t kPanelPitch = kPanelColumns + 16;  // rows apart in L1
constexpr std::size_t kTokenBlock = 48;
static_assert(kPanelRows % kTileRows == 0 && kTokenBlock % kTileTokens == 0 && kPanelColumns % kScaleBlock == 0);

// acc[t][r] += x[t, :count] * w[r, :count], count a multiple of kLanes but for the end of the row.
template <class Stored, int T, int R>
inline void accumulate_tile(Vec (&acc)[T][R], const float* x, std::size_t x_stride, const unsigned char* w,
                            std::size_t w_stride, std::size_t count) {
  std::size_t k = 0;
  for (; k + kLanes <= count; k += kLanes) {
    Vec weights[R];
    PONDER_UNROLL
    for (int r = 0; r < R; ++r) weights[r] = Stored::load(w + static_cast<std::size_t>(r) * w_stride + k * Stored::kBytes);
    PONDER_UNROLL
    for (int t = 0; t < T; ++t) {
      const Vec activations = load(x + static_cast<std::size_t>(t) * x_stride + k);
      PONDER_UNROLL
      for (int r = 0; r < R; ++r) acc[t][r] = fma(activations, weights[r], acc[t][r]);
    }
  }
  if (k == count) return;
  for (int r = 0; r < R; ++r) {
    const Vec weights =
        Stored::load_part(w + static_cast<std::size_t>(r) * w_stride + k * Stored::kBytes, count - k);
    for (int t = 0; t < T; ++t)
      acc[t][r] = fma(load_part(x + static_cast<std::size_t>(t) * x_stride + k, count - k), weights, acc[t][r]);
  }
}

inline const float* scale_row(const WeightMatrix& w, std::size_t row) {
  return w.scale_inv + (w.first_row + row) / kScaleBlock * w.scale_stride;
}

// The same for columns [k_begin, k_end) of the whole row, k_begin at a block's start; `x` and `w` point at k_begin.
template <class Stored, bool kScaled, int T, int R>
inline void accumulate_scaled(Vec (&acc)[T][R], const float* x, std::size_t x_stride, const unsigned char* w,
                              std::size_t w_stride, const float* const* scales, std::size_t k_begin,
                              std::size_t k_end) {
  if constexpr (!kScaled) {
    accumulate_tile<Stored>(acc, x, x_stride, w, w_stride, k_end - k_begin);
  } else {
    for (std::size_t k = k_begin; k < k_end; k += kScaleBlock) {
      const std::size_t count = k_end - k < kScaleBlock ? k_end - k : kScaleBlock;
      Vec block[T][R];
      PONDER_UNROLL
      for (int t = 0; t < T; ++t)
        PONDER_UNROLL
        for (int r = 0; r < R; ++r) block[t][r] = zero();
      accumulate_tile<Stored>(block, x + (k - k_begin), x_stride, w + (k - k_begin) * Stored::kBytes, w_stride, count);
      PONDER_UNROLL
      for (int r = 0; r < R; ++r) {
        const Vec scale = set1(scales[r][k / kScaleBlock] * kFp8Factor);
        PONDER_UNROLL
        for (int t = 0; t < T; ++t) acc[t][r] = fma(block[t][r], scale, acc[t][r]);
      }
    }
  }
}

// Few tokens: weights go from memory straight into the tile.
template <class Stored, int T, int R>
inline void direct_tile(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix& w,
                        std::size_t row, std::size_t n_in) {
  const float* scales[R] = {};
  if constexpr (Stored::kScaled)
    for (int r = 0; r < R; ++r) scales[r] = scale_row(w, row + static_cast<std::size_t>(r));
  Vec acc[T][R];
  PONDER_UNROLL
  for (int t = 0; t < T; ++t)
    PONDER_UNROLL
    for (int r = 0; r < R; ++r) acc[t][r] = zero();
  const auto* data = static_cast<const unsigned char*>(w.data) + row * w.row_stride_bytes;
  accumulate_scaled<Stored, Stored::kScaled>(acc, x, x_stride, data, w.row_stride_bytes, scales, 0, n_in);
  for (int t = 0; t < T; ++t)
    for (int r = 0; r < R; ++r)
      y[static_cast<std::size_t>(t) * y_stride + row + static_cast<std::size_t>(r)] = sum_lanes(acc[t][r]);
}

template <class Stored, int T, int R>
inline void direct_rows(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix& w,
                        std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  std::size_t row = row_begin;
  for (; row + R <= row_end; row += R) direct_tile<Stored, T, R>(y, y_stride, x, x_stride, w, row, n_in);
  for (; row < row_end; ++row) direct_tile<Stored, T, 1>(y, y_stride, x, x_stride, w, row, n_in);
}

// kPanelRows rows of a panel times T tokens; acc [T, kPanelRows] vectors.
template <bool kScaled, int T>
inline void panel_tokens(Vec* acc, const float* x, std::size_t x_stride, const float* panel,
                         const float* const* scales, std::size_t k_begin, std::size_t k_end) {
  for (std::size_t row = 0; row < kPanelRows; row += kTileRows) {
    Vec tile[T][kTileRows];
    PONDER_UNROLL
    for (int t = 0; t < T; ++t)
      PONDER_UNROLL
      for (int r = 0; r < kTileRows; ++r)
        tile[t][r] = acc[static_cast<std::size_t>(t) * kPanelRows + row + static_cast<std::size_t>(r)];
    accumulate_scaled<StoredF32, kScaled>(tile, x, x_stride,
                                          reinterpret_cast<const unsigned char*>(panel + row * kPanelPitch),
                                          kPanelPitch * sizeof(float), scales + row, k_begin, k_end);
    PONDER_UNROLL
    for (int t = 0; t < T; ++t)
      PONDER_UNROLL
      for (int r = 0; r < kTileRows; ++r)
        acc[static_cast<std::size_t>(t) * kPanelRows + row + static_cast<std::size_t>(r)] = tile[t][r];
  }
}

template <class Stored>
inline void panel_rows(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix& w,
                       std::size_t n_tokens, std::size_t row_begin, std::size_t n_rows, std::size_t n_in) {
  alignas(64) float panel[kPanelRows * kPanelPitch];
  Vec acc[kTokenBlock * kPanelRows];
  for (Vec& a : acc) a = zero();
  // Rows past the end repeat the last one; their sums are not stored.
  const unsigned char* rows[kPanelRows];
  const float* scales[kPanelRows] = {};
  for (std::size_t r = 0; r < kPanelRows; ++r) {
    const std::size_t row = row_begin + (r < n_rows ? r : n_rows - 1);
    rows[r] = static_cast<const unsigned char*>(w.data) + row * w.row_stride_bytes;
    if constexpr (Stored::kScaled) scales[r] = scale_row(w, row);
  }
  for (std::size_t k_begin = 0; k_begin < n_in; k_begin += kPanelColumns) {
    const std::size_t count = n_in - k_begin < kPanelColumns ? n_in - k_begin : kPanelColumns;
    for (std::size_t r = 0; r < kPanelRows; ++r) {
      const unsigned char* in = rows[r] + k_begin * Stored::kBytes;
      float* out = panel + r * kPanelPitch;
      std::size_t k = 0;
      for (; k + kLanes <= count; k += kLanes) store(out + k, Stored::load(in + k * Stored::kBytes));
      if (k < count) store(out + k, Stored::load_part(in + k * Stored::kBytes, count - k));
    }
    std::size_t t = 0;
    for (; t + kTileTokens <= n_tokens; t += kTileTokens)
      panel_tokens<Stored::kScaled, kTileTokens>(acc + t * kPanelRows, x + t * x_stride + k_begin, x_stride, panel,
                                                 scales, k_begin, k_begin + count);
    for (; t + 2 <= n_tokens; t += 2)
      panel_tokens<Stored::kScaled, 2>(acc + t * kPanelRows, x + t * x_stride + k_begin, x_stride, panel, scales,
                                       k_begin, k_begin + count);
    if (t < n_tokens)
      panel_tokens<Stored::kScaled, 1>(acc + t * kPanelRows, x + t * x_stride + k_begin, x_stride, panel, scales,
                                       k_begin, k_begin + count);
  }
  for (std::size_t t = 0; t < n_tokens; ++t)
    for (std::size_t r = 0; r < n_rows; ++r) y[t * y_stride + row_begin + r] = sum_lanes(acc[t * kPanelRows + r]);
}

template <class Stored>
inline void matmul_simd(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix& w,
                        std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  switch (n_tokens) {
    case 0: return;
    case 1: return direct_rows<Stored, 1, 8>(y, y_stride, x, x_stride, w, row_begin, row_end, n_in);
    case 2: return direct_rows<Stored, 2, 4>(y, y_stride, x, x_stride, w, row_begin, row_end, n_in);
    case 3: return direct_rows<Stored, 3, 4>(y, y_stride, x, x_stride, w, row_begin, row_end, n_in);
    default: break;
  }
  for (std::size_t t = 0; t < n_tokens; t += kTokenBlock) {
    const std::size_t count = n_tokens - t < kTokenBlock ? n_tokens - t : kTokenBlock;
    for (std::size_t row = row_begin; row < row_end; row += kPanelRows)
      panel_rows<Stored>(y + t * y_stride, y_stride, x + t * x_stride, x_stride, w, count, row,
                         row_end - row < kPanelRows ? row_end - row : kPanelRows, n_in);
  }
}

}  // namespace
}  // namespace ponder::kernels
