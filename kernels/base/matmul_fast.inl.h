// The fast matmul (matmul_bf16.h), after avx512.inl.h or avx512bf16.inl.h.
// Lanes are rows of W: a panel of 32 rows is transposed once per block of tokens and stays in L1, and activations are
// broadcast to it, so that no sum crosses lanes. A unit of a panel is 32 bits: one f32 weight, or a pair of bf16 weights.
// Order of every sum, whatever the tile: units of a panel ascending, then panels ascending into y.
// Tried and lost: prefetching the next panel into L2 between two tiles (weights from memory, 24 to 86 tokens: 0.99 to 1.01
// of the speed without).
#pragma once

#include "kernels/base/matmul_simd.inl.h"
#include "kernels/base/transpose_avx512.inl.h"

namespace ponder::kernels {
namespace {

constexpr std::size_t kFastRows = 32;
constexpr std::size_t kFastUnits = 128;   // of a panel row: 16 KiB in all
constexpr std::size_t kFastTokens = 96;   // of a block: 48 KiB of activations, converted once for all rows
constexpr int kFastTile = 14;             // 14 x 2 accumulators, two of weights, one activation of 32 registers

// Where a panel comes from: rows [row, row + n_rows), columns [k, k + count) of w; absent rows count as zeros.
struct PanelSource {
  const WeightMatrix* w;
  std::size_t row, n_rows, k, count;
  const unsigned char* at(std::size_t r, std::size_t column, std::size_t bytes) const {
    return static_cast<const unsigned char*>(w->data) + (row + r) * w->row_stride_bytes + (k + column) * bytes;
  }
  float scale(std::size_t r, std::size_t column) const { return scale_row(*w, row + r)[(k + column) / kScaleBlock]; }
};
inline std::size_t at_most(std::size_t n, std::size_t limit) { return n < limit ? n : limit; }

template <class Read>
inline void read_rows(__m512i (&v)[16], const PanelSource& from, std::size_t half, Read read) {
  for (std::size_t r = 0; r < kLanes; ++r) v[r] = half + r < from.n_rows ? read(half + r) : _mm512_setzero_si512();
  transpose_units(v);
}

inline __m512i read_bf16(const unsigned char* p, std::size_t count) {  // up to 32, then zeros
  if (count >= 32) return _mm512_loadu_si512(p);
  return _mm512_maskz_loadu_epi16((__mmask32{1} << count) - 1u, p);
}
inline void read_fp8(Vec& first, Vec& second, const unsigned char* p, std::size_t count) {  // without 2^8, see StoredFp8
  first = count >= 16 ? StoredFp8::load(p) : StoredFp8::load_part(p, count);
  second = count >= 32 ? StoredFp8::load(p + 16) : count > 16 ? StoredFp8::load_part(p + 16, count - 16) : zero();
}
inline void read_f32(Vec& first, Vec& second, const float* p, std::size_t count) {
  first = count >= 16 ? load(p) : load_part(p, count);
  second = count >= 32 ? load(p + 16) : count > 16 ? load_part(p + 16, count - 16) : zero();
}

// Units of one f32 value. Two 16-bit halves are transposed at once and then widened.
struct FloatUnits {
  static constexpr std::size_t kColumns = 1;
  static void activations(std::uint32_t* out, const float* x, std::size_t count) {
    for (std::size_t i = 0; i < count; i += 2 * kLanes) {
      Vec first, second;
      read_f32(first, second, x + i, count - i);
      _mm512_store_ps(out + i, first);
      _mm512_store_ps(out + i + kLanes, second);
    }
  }
  static Vec multiply(Vec acc, const std::uint32_t* weights, std::uint32_t activation) {
    return fma(_mm512_load_ps(weights), _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(activation))), acc);
  }
  static __m512i low(__m512i halves) { return _mm512_slli_epi32(halves, 16); }
  static __m512i high(__m512i halves) { return _mm512_and_si512(halves, _mm512_set1_epi32(static_cast<int>(0xffff0000u))); }
};
struct FloatUnitsBf16 : FloatUnits {
  static void fill(std::uint32_t* panel, const PanelSource& from) {
    for (std::size_t half = 0; half < kFastRows; half += kLanes)
      for (std::size_t i = 0; i < from.count; i += 32) {
        __m512i v[16];
        read_rows(v, from, half, [&](std::size_t r) { return read_bf16(from.at(r, i, 2), from.count - i); });
        for (std::size_t p = 0; p < 16; ++p) {
          std::uint32_t* out = panel + (i + 2 * p) * kFastRows + half;
          _mm512_store_si512(out, low(v[p]));
          _mm512_store_si512(out + kFastRows, high(v[p]));
        }
      }
  }
};
struct FloatUnitsFp8 : FloatUnits {
  static_assert(kFastUnits == kScaleBlock);  // a panel has one scale per row
  static void fill(std::uint32_t* panel, const PanelSource& from) {
    for (std::size_t half = 0; half < kFastRows; half += kLanes) {
      alignas(64) float scales[kLanes];
      for (std::size_t r = 0; r < kLanes; ++r) scales[r] = half + r < from.n_rows && from.count > 0 ? from.scale(half + r, 0) * kFp8Factor : 0.0f;
      const Vec scale = load(scales);
      for (std::size_t i = 0; i < from.count; i += 32) {
        __m512i v[16];
        read_rows(v, from, half, [&](std::size_t r) {  // halves: columns p and p + 16; the values are exact in bf16
          Vec first, second;
          read_fp8(first, second, from.at(r, i, 1), from.count - i);
          return _mm512_or_si512(_mm512_srli_epi32(_mm512_castps_si512(first), 16), high(_mm512_castps_si512(second)));
        });
        for (std::size_t p = 0; p < 16; ++p) {
          std::uint32_t* out = panel + (i + p) * kFastRows + half;
          _mm512_store_ps(out, mul(_mm512_castsi512_ps(low(v[p])), scale));
          _mm512_store_ps(out + 16 * kFastRows, mul(_mm512_castsi512_ps(high(v[p])), scale));
        }
      }
    }
  }
};

#ifdef __AVX512BF16__
// Units of two bf16 values.
struct PairUnits {
  static constexpr std::size_t kColumns = 2;
  static void activations(std::uint32_t* out, const float* x, std::size_t count) {
    for (std::size_t i = 0; i < count; i += 2 * kLanes) {
      Vec first, second;
      read_f32(first, second, x + i, count - i);
      _mm512_store_si512(out + i / 2, round_to_pairs(first, second));
    }
  }
  static Vec multiply(Vec acc, const std::uint32_t* weights, std::uint32_t activations) {
    return dot_pairs(acc, _mm512_load_si512(weights), _mm512_set1_epi32(static_cast<int>(activations)));
  }
  template <class Read>
  static void fill_with(std::uint32_t* panel, const PanelSource& from, Read read) {
    for (std::size_t half = 0; half < kFastRows; half += kLanes)
      for (std::size_t i = 0; i < from.count; i += 32) {
        __m512i v[16];
        read_rows(v, from, half, [&](std::size_t r) { return read(r, i); });
        for (std::size_t p = 0; p < 16; ++p) _mm512_store_si512(panel + (i / 2 + p) * kFastRows + half, v[p]);
      }
  }
};
struct PairUnitsBf16 : PairUnits {
  static void fill(std::uint32_t* panel, const PanelSource& from) {
    fill_with(panel, from, [&](std::size_t r, std::size_t i) { return read_bf16(from.at(r, i, 2), from.count - i); });
  }
};
struct PairUnitsFp8 : PairUnits {
  static void fill(std::uint32_t* panel, const PanelSource& from) {
    fill_with(panel, from, [&](std::size_t r, std::size_t i) {
      Vec first, second;
      read_fp8(first, second, from.at(r, i, 1), from.count - i);
      const Vec scale = set1(from.scale(r, i) * kFp8Factor);
      return round_to_pairs(mul(first, scale), mul(second, scale));
    });
  }
};
#endif

template <class Units, int T>
inline void fast_tile(float* y, std::size_t y_stride, const std::uint32_t* x, const std::uint32_t* panel,
                      std::size_t n_units, __mmask16 rows0, __mmask16 rows1, bool first) {
  Vec acc[T][2];
  PONDER_UNROLL
  for (int t = 0; t < T; ++t) acc[t][0] = acc[t][1] = zero();
  for (std::size_t u = 0; u < n_units; ++u) {
    PONDER_UNROLL
    for (int t = 0; t < T; ++t) {
      const std::uint32_t activation = x[static_cast<std::size_t>(t) * kFastUnits + u];
      acc[t][0] = Units::multiply(acc[t][0], panel + u * kFastRows, activation);
      acc[t][1] = Units::multiply(acc[t][1], panel + u * kFastRows + kLanes, activation);
    }
  }
  PONDER_UNROLL
  for (int t = 0; t < T; ++t) {
    float* sums = y + static_cast<std::size_t>(t) * y_stride;
    if (!first) {
      acc[t][0] = add(_mm512_maskz_loadu_ps(rows0, sums), acc[t][0]);
      acc[t][1] = add(_mm512_maskz_loadu_ps(rows1, sums + kLanes), acc[t][1]);
    }
    _mm512_mask_storeu_ps(sums, rows0, acc[t][0]);
    _mm512_mask_storeu_ps(sums + kLanes, rows1, acc[t][1]);
  }
}

template <class Units, int T>
inline void fast_tile_of(std::size_t n_tokens, float* y, std::size_t y_stride, const std::uint32_t* x,
                         const std::uint32_t* panel, std::size_t n_units, __mmask16 rows0, __mmask16 rows1, bool first) {
  if (n_tokens == T) fast_tile<Units, T>(y, y_stride, x, panel, n_units, rows0, rows1, first);
  else if constexpr (T > 1) fast_tile_of<Units, T - 1>(n_tokens, y, y_stride, x, panel, n_units, rows0, rows1, first);
}

template <class Units>
inline void matmul_fast(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix& w,
                        std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  constexpr std::size_t kColumns = kFastUnits * Units::kColumns;
  alignas(64) std::uint32_t panel[kFastUnits * kFastRows];
  alignas(64) std::uint32_t block[kFastTokens * kFastUnits];
  for (std::size_t t0 = 0; t0 < n_tokens; t0 += kFastTokens) {
    const std::size_t tokens = at_most(n_tokens - t0, kFastTokens), n_tiles = (tokens + kFastTile - 1) / kFastTile;
    for (std::size_t k = 0; k < n_in || k == 0; k += kColumns) {
      const std::size_t count = at_most(n_in - k, kColumns), n_units = (count + Units::kColumns - 1) / Units::kColumns;
      for (std::size_t t = 0; t < tokens; ++t) Units::activations(block + t * kFastUnits, x + (t0 + t) * x_stride + k, count);
      for (std::size_t row = row_begin; row < row_end; row += kFastRows) {
        const std::size_t rows = at_most(row_end - row, kFastRows);
        Units::fill(panel, {&w, row, rows, k, count});
        const auto rows0 = static_cast<__mmask16>((1u << at_most(rows, kLanes)) - 1u);
        const auto rows1 = static_cast<__mmask16>(rows > kLanes ? (1u << (rows - kLanes)) - 1u : 0u);
        for (std::size_t tile = 0; tile < n_tiles; ++tile) {  // of nearly equal size
          const std::size_t first = tile * tokens / n_tiles, end = (tile + 1) * tokens / n_tiles;
          fast_tile_of<Units, kFastTile>(end - first, y + (t0 + first) * y_stride + row, y_stride, block + first * kFastUnits,
                                         panel, n_units, rows0, rows1, k == 0);
        }
      }
    }
  }
}

}  // namespace
}  // namespace ponder::kernels
