#include "kernels/matmul_int8/matmul_int8.h"

#include "kernels/base/avx512.inl.h"
// After the lanes, which it is written in:
#include "kernels/base/dot_bytes_avx512.inl.h"
#include "kernels/base/matmul_simd.inl.h"

namespace ponder::kernels {

namespace {

constexpr int kTile = 6;  // 6 x 2 accumulators of 32 products, as many of all, two of weights, an activation: 27 registers
constexpr std::size_t kMaxTokens = 256;  // of one panel: their units stay in L2

struct Tile {
  float* y;
  std::size_t y_stride;
  const Int8Unit* x;
  const Int8Panel* panel;
  __mmask16 rows0, rows1;
  bool first;
};

template <int T>
inline void multiply_tile(const Tile& tile) {
  Vec sum[T][2];
  PONDER_UNROLL
  for (int t = 0; t < T; ++t) sum[t][0] = sum[t][1] = zero();
  for (std::size_t b = 0; b < 8; ++b) {
    __m512i acc[T][2];
    PONDER_UNROLL
    for (int t = 0; t < T; ++t) acc[t][0] = acc[t][1] = _mm512_set1_epi32(tile.x[t].offset[b]);
    PONDER_UNROLL
    for (std::size_t p = 8 * b; p < 8 * b + 8; ++p) {
      const __m512i w0 = _mm512_load_si512(tile.panel->q[p]), w1 = _mm512_load_si512(tile.panel->q[p] + 64);
      PONDER_UNROLL
      for (int t = 0; t < T; ++t) {
        int four;
        __builtin_memcpy(&four, tile.x[t].q + 4 * p, 4);
        const __m512i x = _mm512_set1_epi32(four);
        acc[t][0] = dot_bytes(acc[t][0], w0, x);
        acc[t][1] = dot_bytes(acc[t][1], w1, x);
      }
    }
    const Vec scale0 = load(tile.panel->scale[b]), scale1 = load(tile.panel->scale[b] + kLanes);
    PONDER_UNROLL
    for (int t = 0; t < T; ++t) {
      const Vec x_scale = set1(tile.x[t].scale[2 * b]);
      sum[t][0] = fma(mul(_mm512_cvtepi32_ps(acc[t][0]), scale0), x_scale, sum[t][0]);
      sum[t][1] = fma(mul(_mm512_cvtepi32_ps(acc[t][1]), scale1), x_scale, sum[t][1]);
    }
  }
  PONDER_UNROLL
  for (int t = 0; t < T; ++t) {
    float* y = tile.y + static_cast<std::size_t>(t) * tile.y_stride;
    if (!tile.first) {
      sum[t][0] = add(_mm512_maskz_loadu_ps(tile.rows0, y), sum[t][0]);
      sum[t][1] = add(_mm512_maskz_loadu_ps(tile.rows1, y + kLanes), sum[t][1]);
    }
    _mm512_mask_storeu_ps(y, tile.rows0, sum[t][0]);
    _mm512_mask_storeu_ps(y + kLanes, tile.rows1, sum[t][1]);
  }
}

template <int T>
inline void multiply_tile_of(std::size_t n_tokens, const Tile& tile) {
  if (n_tokens == T)
    multiply_tile<T>(tile);
  else if constexpr (T > 1)
    multiply_tile_of<T - 1>(n_tokens, tile);
}

}  // namespace

void matmul_int8_avx512vnni(float* y, std::size_t y_stride, const Int8Unit* x, std::size_t unit_stride,
                            const WeightMatrix* w, FillPanelFn* fill, std::size_t n_tokens, std::size_t row_begin,
                            std::size_t row_end, std::size_t n_in) {
  Int8Panel panel;
  const std::size_t n_units = int8_units(n_in);
  for (std::size_t t0 = 0; t0 < n_tokens; t0 += kMaxTokens) {
    const std::size_t tokens = n_tokens - t0 < kMaxTokens ? n_tokens - t0 : kMaxTokens,
                      n_tiles = (tokens + kTile - 1) / kTile;
    for (std::size_t u = 0; u < n_units; ++u) {
      const Int8Unit* const units = x + u * unit_stride + t0;
      for (std::size_t row = row_begin; row < row_end; row += Int8Panel::kRows) {
        const std::size_t rows = row_end - row < Int8Panel::kRows ? row_end - row : Int8Panel::kRows;
        fill(&panel, w, row, rows, int8_unit_begin(u, n_in));
        Tile tile;
        tile.y_stride = y_stride;
        tile.panel = &panel;
        tile.rows0 = static_cast<__mmask16>(rows >= kLanes ? 0xffffu : (1u << rows) - 1u);
        tile.rows1 = static_cast<__mmask16>(rows > kLanes ? (1u << (rows - kLanes)) - 1u : 0u);
        tile.first = u == 0;
        for (std::size_t i = 0; i < n_tiles; ++i) {  // of nearly equal size
          const std::size_t begin = i * tokens / n_tiles, end = (i + 1) * tokens / n_tiles;
          tile.y = y + (t0 + begin) * y_stride + row;
          tile.x = units + begin;
          multiply_tile_of<kTile>(end - begin, tile);
        }
      }
    }
  }
}

}  // namespace ponder::kernels
