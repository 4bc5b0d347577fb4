#include "kernels/matmul_int8/matmul_int8.h"

#include "kernels/base/avx2.inl.h"
// After the lanes, which it is written in:
#include "kernels/base/matmul_simd.inl.h"

namespace ponder::kernels {

namespace {

constexpr int kTile = 4;
constexpr std::size_t kMaxTokens = 256;  // of one panel: their units stay in L2

struct Tile {
  float* y;
  std::size_t y_stride, n_rows;
  const Int8Unit* x;
  const Int8Panel* panel;
  bool first;
};

// Sums of two products each, in int16: of how many fours of weights they can be.
constexpr std::size_t fours_of(int bits) { return bits <= 4 ? 8 : bits == 5 ? 4 : bits == 6 ? 2 : 1; }

// R vectors of eight rows, from `row` on, with T tokens.
template <int Bits, std::size_t Group, int T, int R>
inline void multiply_rows(const Tile& tile, std::size_t row) {
  constexpr std::size_t kFours = Group / 4, kRun = fours_of(Bits) < kFours ? fours_of(Bits) : kFours;
  const __m256i ones = _mm256_set1_epi16(1);
  Vec sum[T][R];
  PONDER_UNROLL
  for (int t = 0; t < T; ++t)
    for (int r = 0; r < R; ++r) sum[t][r] = zero();
  for (std::size_t g = 0; g < 256 / Group; ++g) {
    __m256i dots[T][R];
    PONDER_UNROLL
    for (std::size_t run = 0; run < kFours; run += kRun) {
      __m256i pairs[T][R];
      PONDER_UNROLL
      for (int t = 0; t < T; ++t)
        for (int r = 0; r < R; ++r) pairs[t][r] = _mm256_setzero_si256();
      // Unrolled, GCC 12 moves loads of several steps before the products, and has not the registers.
#pragma GCC unroll 1
      for (std::size_t i = 0; i < kRun; ++i) {
        const std::size_t p = g * kFours + run + i;
        __m256i w[R], magnitude[R];
        PONDER_UNROLL
        for (int r = 0; r < R; ++r) {
          w[r] = _mm256_load_si256(reinterpret_cast<const __m256i*>(tile.panel->q[p] + 4 * row) + r);
          if constexpr (Bits == 8) magnitude[r] = _mm256_abs_epi8(w[r]);
        }
        PONDER_UNROLL
        for (int t = 0; t < T; ++t) {
          int four;
          __builtin_memcpy(&four, tile.x[t].q + 4 * p, 4);
          const __m256i x = _mm256_set1_epi32(four);
          PONDER_UNROLL
          for (int r = 0; r < R; ++r) {
            __m256i products;
            if constexpr (Bits == 8) products = _mm256_maddubs_epi16(magnitude[r], _mm256_sign_epi8(x, w[r]));
            else products = _mm256_maddubs_epi16(w[r], x);
            pairs[t][r] = _mm256_add_epi16(pairs[t][r], products);
          }
        }
      }
      PONDER_UNROLL
      for (int t = 0; t < T; ++t)
        for (int r = 0; r < R; ++r) {
          const __m256i fours = _mm256_madd_epi16(pairs[t][r], ones);
          dots[t][r] = run == 0 ? fours : _mm256_add_epi32(dots[t][r], fours);
        }
    }
    Vec scale[R], minimum[R];
    PONDER_UNROLL
    for (int r = 0; r < R; ++r) {
      scale[r] = _mm256_load_ps(tile.panel->scale[g] + row + 8 * static_cast<std::size_t>(r));
      if constexpr (Bits < 8) minimum[r] = _mm256_load_ps(tile.panel->minimum[g] + row + 8 * static_cast<std::size_t>(r));
    }
    PONDER_UNROLL
    for (int t = 0; t < T; ++t) {
      const Int8Unit& x = tile.x[t];
      const Vec x_scale = set1(Group == 32 ? x.scale_32[g] : x.scale[g]);
      const Vec x_sum = set1(Group == 32 ? x.scaled_sum_32[g] : x.scaled_sum[g]);
      PONDER_UNROLL
      for (int r = 0; r < R; ++r) {
        sum[t][r] = fma(_mm256_cvtepi32_ps(dots[t][r]), mul(scale[r], x_scale), sum[t][r]);
        if constexpr (Bits < 8) sum[t][r] = _mm256_fnmadd_ps(minimum[r], x_sum, sum[t][r]);
      }
    }
  }
  PONDER_UNROLL
  for (int t = 0; t < T; ++t)
    for (int r = 0; r < R; ++r) {
      const std::size_t begin = row + 8 * static_cast<std::size_t>(r);
      float* y = tile.y + static_cast<std::size_t>(t) * tile.y_stride + begin;
      if (begin + 8 <= tile.n_rows) {
        store(y, tile.first ? sum[t][r] : add(load(y), sum[t][r]));
      } else if (begin < tile.n_rows) {
        const std::size_t count = tile.n_rows - begin;
        store_part(y, tile.first ? sum[t][r] : add(load_part(y, count), sum[t][r]), count);
      }
    }
}

template <int Bits, std::size_t Group, int T>
inline void multiply_tile(std::size_t n_tokens, const Tile& tile) {
  if (n_tokens == T) {
    constexpr int kVectors = Bits <= 5 ? 2 : 1;
    for (std::size_t row = 0; row < tile.n_rows; row += 8 * kVectors) multiply_rows<Bits, Group, T, kVectors>(tile, row);
  } else if constexpr (T > 1) {
    multiply_tile<Bits, Group, T - 1>(n_tokens, tile);
  }
}

using TileFn = void(std::size_t n_tokens, const Tile& tile);
// Null for panels that no AVX2 fill makes.
TileFn* tile_of(const Int8Panel& panel) {
  const bool by_32 = panel.group == 32;
  switch (panel.bits) {
    case 4: return by_32 ? multiply_tile<4, 32, kTile> : multiply_tile<4, 16, kTile>;
    case 5: return by_32 ? multiply_tile<5, 32, kTile> : nullptr;
    case 6: return by_32 ? nullptr : multiply_tile<6, 16, kTile>;
    case 7: return by_32 ? nullptr : multiply_tile<7, 16, kTile>;
    default: return by_32 && !panel.biased ? multiply_tile<8, 32, kTile> : nullptr;
  }
}

}  // namespace

void matmul_int8_avx2(float* y, std::size_t y_stride, const Int8Unit* x, std::size_t unit_stride, const WeightMatrix* w,
                      FillPanelFn* fill, std::size_t n_tokens, std::size_t row_begin, std::size_t row_end,
                      std::size_t n_in) {
  Int8Panel panel;
  const std::size_t n_units = int8_units(n_in);
  for (std::size_t t0 = 0; t0 < n_tokens; t0 += kMaxTokens) {
    const std::size_t tokens = n_tokens - t0 < kMaxTokens ? n_tokens - t0 : kMaxTokens;
    for (std::size_t u = 0; u < n_units; ++u) {
      const Int8Unit* const units = x + u * unit_stride + t0;
      for (std::size_t row = row_begin; row < row_end; row += Int8Panel::kRows) {
        const std::size_t rows = row_end - row < Int8Panel::kRows ? row_end - row : Int8Panel::kRows;
        fill(&panel, w, row, rows, int8_unit_begin(u, n_in));
        TileFn* const multiply = tile_of(panel);
        for (std::size_t t = 0; t < tokens; t += kTile)
          multiply(tokens - t < kTile ? tokens - t : kTile,
                   {y + (t0 + t) * y_stride + row, y_stride, rows, units + t, &panel, u == 0});
      }
    }
  }
}

}  // namespace ponder::kernels
