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

// sums + the products of unsigned w and signed x, two and two in int16. As assembly: GCC 12 makes all products first, and then
// has not the registers for all sums.
inline void add_products(__m256i& sums, __m256i w, __m256i x) {
#if defined(__GNUC__)
  __m256i products;
  asm("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0" : "+x"(sums), "=&x"(products) : "x"(w), "x"(x));
#else
  sums = _mm256_add_epi16(sums, _mm256_maddubs_epi16(w, x));
#endif
}
// The same in int32, four and four, for codes of seven bits.
inline void add_wide_products(__m256i& sums, __m256i w, __m256i x, __m256i ones) {
#if defined(__GNUC__)
  __m256i products;
  asm("vpmaddubsw %3, %2, %1\n\tvpmaddwd %4, %1, %1\n\tvpaddd %1, %0, %0"
      : "+x"(sums), "=&x"(products) : "x"(w), "x"(x), "x"(ones));
#else
  sums = _mm256_add_epi32(sums, _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), ones));
#endif
}
// And of signed w, whose magnitudes are given.
inline void add_signed_products(__m256i& sums, __m256i w, __m256i magnitudes, __m256i x, __m256i ones) {
#if defined(__GNUC__)
  __m256i products;
  asm("vpsignb %2, %4, %1\n\tvpmaddubsw %1, %3, %1\n\tvpmaddwd %5, %1, %1\n\tvpaddd %1, %0, %0"
      : "+x"(sums), "=&x"(products) : "x"(w), "x"(magnitudes), "x"(x), "x"(ones));
#else
  sums = _mm256_add_epi32(sums, _mm256_madd_epi16(_mm256_maddubs_epi16(magnitudes, _mm256_sign_epi8(x, w)), ones));
#endif
}

// body(Index<0>{}), ..., body(Index<N - 1>{}). Arrays of sums are indexed by constants from the start: those of loops that are
// unrolled later stay in memory.
template <int I>
struct Index {
  static constexpr std::size_t value = static_cast<std::size_t>(I);
};
#if defined(__GNUC__)
#define PONDER_INLINE __attribute__((always_inline)) inline
#else
#define PONDER_INLINE inline
#endif
template <int N, int I = 0, class Body>
PONDER_INLINE void unrolled(const Body& body) {
  if constexpr (I < N) {
    body(Index<I>{});
    unrolled<N, I + 1>(body);
  }
}

// Sums of `n_fours` products of 16 rows with four tokens, sum 2 t + r of token t and rows 8 r .. 8 r + 7. They have names, as GCC 12
// keeps an array of eight in memory: two fifths of the speed.
struct Sums8 {
  __m256i s0, s1, s2, s3, s4, s5, s6, s7;
};
PONDER_INLINE Sums8 sums_of_run(const unsigned char* w, const signed char* x, std::size_t n_fours) {
  __m256i s0 = _mm256_setzero_si256(), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
  const auto activations = [&](std::size_t t) {
    int four;
    __builtin_memcpy(&four, x + t * sizeof(Int8Unit), 4);
    return _mm256_set1_epi32(four);
  };
#pragma GCC unroll 1
  for (; n_fours > 0; --n_fours, w += 4 * Int8Panel::kRows, x += 4) {
    const __m256i w0 = _mm256_load_si256(reinterpret_cast<const __m256i*>(w));
    const __m256i w1 = _mm256_load_si256(reinterpret_cast<const __m256i*>(w) + 1);
    const __m256i x0 = activations(0);
    add_products(s0, w0, x0);
    add_products(s1, w1, x0);
    const __m256i x1 = activations(1);
    add_products(s2, w0, x1);
    add_products(s3, w1, x1);
    const __m256i x2 = activations(2);
    add_products(s4, w0, x2);
    add_products(s5, w1, x2);
    const __m256i x3 = activations(3);
    add_products(s6, w0, x3);
    add_products(s7, w1, x3);
  }
  return {s0, s1, s2, s3, s4, s5, s6, s7};
}

// R vectors of eight rows, from `row` on, with T tokens.
template <int Bits, std::size_t Group, int T, int R>
inline void multiply_rows(const Tile& tile, std::size_t row) {
  constexpr std::size_t kFours = Group / 4, kRun = fours_of(Bits) < kFours ? fours_of(Bits) : kFours;
  const __m256i ones = _mm256_set1_epi16(1);
  const unsigned char* w = tile.panel->q[0] + 4 * row;
  const signed char* x = tile.x[0].q;
  Vec sum[T][R];
  unrolled<T>([&](auto t) { unrolled<R>([&](auto r) { sum[t.value][r.value] = zero(); }); });
  for (std::size_t g = 0; g < 256 / Group; ++g) {
    __m256i dots[T][R];
    unrolled<T>([&](auto t) { unrolled<R>([&](auto r) { dots[t.value][r.value] = _mm256_setzero_si256(); }); });
    const auto add_run = [&](const __m256i (&sums)[T][R]) {
      unrolled<T>([&](auto t) {
        unrolled<R>([&](auto r) {
          const __m256i fours = _mm256_madd_epi16(sums[t.value][r.value], ones);
          dots[t.value][r.value] = kRun == kFours ? fours : _mm256_add_epi32(dots[t.value][r.value], fours);
        });
      });
    };
    if constexpr (T == 4 && R == 2 && kRun > 1) {
      for (std::size_t run = 0; run < kFours; run += kRun, w += kRun * sizeof tile.panel->q[0], x += 4 * kRun) {
        const Sums8 s = sums_of_run(w, x, kRun);
        add_run({{s.s0, s.s1}, {s.s2, s.s3}, {s.s4, s.s5}, {s.s6, s.s7}});
      }
    } else {
      for (std::size_t run = 0; run < kFours; run += kRun) {
        __m256i sums[T][R];  // of a run; where that is one, there are only the dots
        if constexpr (kRun > 1)
          unrolled<T>([&](auto t) { unrolled<R>([&](auto r) { sums[t.value][r.value] = _mm256_setzero_si256(); }); });
#pragma GCC unroll 1
        for (std::size_t i = 0; i < kRun; ++i, w += sizeof tile.panel->q[0], x += 4) {
          __m256i weights[R], magnitudes[R];
          unrolled<R>([&](auto r) {
            weights[r.value] = _mm256_load_si256(reinterpret_cast<const __m256i*>(w) + r.value);
            if constexpr (Bits == 8) magnitudes[r.value] = _mm256_abs_epi8(weights[r.value]);
          });
          unrolled<T>([&](auto t) {
            int four;
            __builtin_memcpy(&four, x + t.value * sizeof(Int8Unit), 4);
            const __m256i activations = _mm256_set1_epi32(four);
            unrolled<R>([&](auto r) {
              if constexpr (Bits == 8)
                add_signed_products(dots[t.value][r.value], weights[r.value], magnitudes[r.value], activations, ones);
              else if constexpr (kRun == 1)
                add_wide_products(dots[t.value][r.value], weights[r.value], activations, ones);
              else
                add_products(sums[t.value][r.value], weights[r.value], activations);
            });
          });
        }
        if constexpr (kRun > 1) add_run(sums);
      }
    }
    Vec scale[R], minimum[R];
    unrolled<R>([&](auto r) {
      scale[r.value] = _mm256_load_ps(tile.panel->scale[g] + row + 8 * r.value);
      if constexpr (Bits < 8) minimum[r.value] = _mm256_load_ps(tile.panel->minimum[g] + row + 8 * r.value);
    });
    unrolled<T>([&](auto t) {
      const Int8Unit& unit = tile.x[t.value];
      const Vec x_scale = set1(Group == 32 ? unit.scale_32[g] : unit.scale[g]);
      const Vec x_sum = set1(Group == 32 ? unit.scaled_sum_32[g] : unit.scaled_sum[g]);
      unrolled<R>([&](auto r) {
        Vec& total = sum[t.value][r.value];
        total = fma(_mm256_cvtepi32_ps(dots[t.value][r.value]), mul(scale[r.value], x_scale), total);
        if constexpr (Bits < 8) total = _mm256_fnmadd_ps(minimum[r.value], x_sum, total);
      });
    });
  }
  unrolled<T>([&](auto t) {
    unrolled<R>([&](auto r) {
      const std::size_t begin = row + 8 * r.value;
      float* y = tile.y + t.value * tile.y_stride + begin;
      if (begin + 8 <= tile.n_rows) {
        store(y, tile.first ? sum[t.value][r.value] : add(load(y), sum[t.value][r.value]));
      } else if (begin < tile.n_rows) {
        const std::size_t count = tile.n_rows - begin;
        store_part(y, tile.first ? sum[t.value][r.value] : add(load_part(y, count), sum[t.value][r.value]), count);
      }
    });
  });
}

template <int Bits, std::size_t Group, int T>
inline void multiply_tile(std::size_t n_tokens, const Tile& tile) {
  if (n_tokens == T) {
    constexpr int kVectors = Bits <= 6 ? 2 : 1;
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
