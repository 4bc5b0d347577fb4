// attend_rows.h in the vocabulary of avx2.inl.h / avx512.inl.h / avx512bf16.inl.h, which is included before.
// A tile is up to kRowTile query rows, P of them with P a power of two. Their scores lie [key][P], so that a vector holds
// kLanes / P keys and softmax needs no sum across lanes: kLanes accumulators, each the products of one row and one key, are
// reduced together into such a vector. Rows of keys are read as they lie; several rows share every load of a key or value.
// Hot in L2, one thread of Sapphire Rapids, V2-Lite's 16 heads: 109 GFLOP/s from f32, 83 where bf16 is widened for both tiles.
#pragma once

#include "kernels/base/exp_simd.inl.h"
#include "kernels/base/matmul_simd.inl.h"

namespace ponder::kernels {
namespace {

constexpr std::size_t kAttendKeys = 64;  // at a time: their scores stay in L1
constexpr std::size_t kRowTile = kLanes / 2;

constexpr int row_pitch(int n_rows) { return n_rows > 4 ? 8 : n_rows > 2 ? 4 : n_rows; }

#if defined(__x86_64__)  // neon.inl.h has its own
// lane i of the result = sum of the lanes of v[i]
inline Vec sum_each(const Vec (&v)[kLanes]) {
  Vec quads[kLanes / 4];  // each quarter of 128 bits: sums over a quarter of four vectors
#if defined(__AVX512F__)
  PONDER_UNROLL
  for (std::size_t i = 0; i < kLanes / 4; ++i) {
    const Vec a = add(_mm512_unpacklo_ps(v[4 * i], v[4 * i + 1]), _mm512_unpackhi_ps(v[4 * i], v[4 * i + 1]));
    const Vec b = add(_mm512_unpacklo_ps(v[4 * i + 2], v[4 * i + 3]), _mm512_unpackhi_ps(v[4 * i + 2], v[4 * i + 3]));
    const __m512d x = _mm512_castps_pd(a), y = _mm512_castps_pd(b);
    quads[i] = add(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)), _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
  }
  const Vec low = add(_mm512_shuffle_f32x4(quads[0], quads[1], 0x88), _mm512_shuffle_f32x4(quads[0], quads[1], 0xdd));
  const Vec high = add(_mm512_shuffle_f32x4(quads[2], quads[3], 0x88), _mm512_shuffle_f32x4(quads[2], quads[3], 0xdd));
  return add(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xdd));
#else
  PONDER_UNROLL
  for (std::size_t i = 0; i < kLanes / 4; ++i) {
    const Vec a = add(_mm256_unpacklo_ps(v[4 * i], v[4 * i + 1]), _mm256_unpackhi_ps(v[4 * i], v[4 * i + 1]));
    const Vec b = add(_mm256_unpacklo_ps(v[4 * i + 2], v[4 * i + 3]), _mm256_unpackhi_ps(v[4 * i + 2], v[4 * i + 3]));
    const __m256d x = _mm256_castps_pd(a), y = _mm256_castps_pd(b);
    quads[i] = add(_mm256_castpd_ps(_mm256_unpacklo_pd(x, y)), _mm256_castpd_ps(_mm256_unpackhi_pd(x, y)));
  }
  return add(_mm256_permute2f128_ps(quads[0], quads[1], 0x20), _mm256_permute2f128_ps(quads[0], quads[1], 0x31));
#endif
}
#endif

// Rows of a tile, and their factors from the step of softmax.
struct AttendTileState {
  alignas(64) float weights[kAttendKeys * kRowTile];  // [key][P]: scores, then p
  alignas(64) float rescale[kLanes];                  // [P]
};

// f32 products of keys and values of any storage type.
template <class Stored>
struct FloatProducts {
  static constexpr std::size_t kStep = kLanes, kQueryBytes = 4, kKeyBytes = Stored::kBytes;
  using Operand = Vec;
  static Vec query(const unsigned char* p) { return load(reinterpret_cast<const float*>(p)); }
  static Vec query_part(const unsigned char* p, std::size_t n) { return load_part(reinterpret_cast<const float*>(p), n); }
  static Vec key(const unsigned char* p) { return Stored::load(p); }
  static Vec key_part(const unsigned char* p, std::size_t n) { return Stored::load_part(p, n); }
  static Vec dot(Vec acc, Vec a, Vec b) { return fma(a, b, acc); }

  template <int R, int C, bool kPart>
  static void add_columns(const AttendBlock& b, float* out, const unsigned char* values, std::size_t n_keys,
                          const AttendTileState& s, std::size_t part) {
    constexpr int P = row_pitch(R);
    Vec acc[R][C];
    PONDER_UNROLL
    for (int r = 0; r < R; ++r)
      PONDER_UNROLL
      for (int c = 0; c < C; ++c) {
        const float* at = out + static_cast<std::size_t>(r) * b.out_stride + static_cast<std::size_t>(c) * kLanes;
        if constexpr (kPart) acc[r][c] = mul(load_part(at, part), set1(s.rescale[r]));
        else acc[r][c] = mul(load(at), set1(s.rescale[r]));
      }
    for (std::size_t i = 0; i < n_keys; ++i, values += b.value_stride_bytes) {
      Vec v[C];
      PONDER_UNROLL
      for (int c = 0; c < C; ++c) {
        if constexpr (kPart) v[c] = Stored::load_part(values, part);
        else v[c] = Stored::load(values + static_cast<std::size_t>(c) * kLanes * Stored::kBytes);
      }
      PONDER_UNROLL
      for (int r = 0; r < R; ++r) {
        const Vec p = set1(s.weights[i * P + static_cast<std::size_t>(r)]);
        PONDER_UNROLL
        for (int c = 0; c < C; ++c) acc[r][c] = fma(p, v[c], acc[r][c]);
      }
    }
    PONDER_UNROLL
    for (int r = 0; r < R; ++r)
      PONDER_UNROLL
      for (int c = 0; c < C; ++c) {
        float* at = out + static_cast<std::size_t>(r) * b.out_stride + static_cast<std::size_t>(c) * kLanes;
        if constexpr (kPart) store_part(at, acc[r][c], part);
        else store(at, acc[r][c]);
      }
  }
  // out rows of the tile; values from its first key on.
  template <int R>
  static void add_values(const AttendBlock& b, float* out, const unsigned char* values, std::size_t n_keys, AttendTileState& s) {
    constexpr int kRegisters = kLanes == 8 ? 12 : 26,  // of 16 or 32
                   C = R == 1 ? 8 : R == 2 && kLanes != 8 ? 8 : kRegisters / R;
    std::size_t k = 0;
    for (; k + C * kLanes <= b.value_dims; k += C * kLanes)
      add_columns<R, C, false>(b, out + k, values + k * Stored::kBytes, n_keys, s, 0);
    if constexpr (C > 2)
      for (; k + 2 * kLanes <= b.value_dims; k += 2 * kLanes)
        add_columns<R, 2, false>(b, out + k, values + k * Stored::kBytes, n_keys, s, 0);
    for (; k + kLanes <= b.value_dims; k += kLanes)
      add_columns<R, 1, false>(b, out + k, values + k * Stored::kBytes, n_keys, s, 0);
    if (k < b.value_dims)
      add_columns<R, 1, true>(b, out + k, values + k * Stored::kBytes, n_keys, s, b.value_dims - k);
  }
};

#ifdef __AVX512BF16__
// Products of bf16 pairs: of neighbouring dims in q . k, of neighbouring keys in p v.
struct PairProducts {
  static constexpr std::size_t kStep = 2 * kLanes, kQueryBytes = 2, kKeyBytes = 2;
  using Operand = __m512i;
  static __mmask32 mask(std::size_t n) { return n >= 32 ? ~__mmask32{0} : (__mmask32{1} << n) - 1u; }
  static __m512i query(const unsigned char* p) { return _mm512_loadu_si512(p); }
  static __m512i query_part(const unsigned char* p, std::size_t n) { return _mm512_maskz_loadu_epi16(mask(n), p); }
  static __m512i key(const unsigned char* p) { return _mm512_loadu_si512(p); }
  static __m512i key_part(const unsigned char* p, std::size_t n) { return _mm512_maskz_loadu_epi16(mask(n), p); }
  static Vec dot(Vec acc, __m512i a, __m512i b) { return dot_pairs(acc, a, b); }

  // 2 C vectors of out, [R][C][2]: first and second of a unit of 32 columns hold, in their quarters q, columns 8 q .. 8 q + 3
  // and 8 q + 4 .. 8 q + 7, as unpacking two rows of values leaves them. `columns`: how many of the units' columns there are.
  template <int R, int C, bool kPart>
  static void add_columns(const AttendBlock& b, float* out, const unsigned char* values, std::size_t n_keys,
                          const AttendTileState& s, std::size_t columns) {
    constexpr int P = row_pitch(R);
    const __m512i to_first = _mm512_setr_epi32(0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
    const __m512i to_second = _mm512_setr_epi32(4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
    const __m512i to_low = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
    const __m512i to_high = _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
    const __mmask32 m = kPart ? mask(columns) : ~__mmask32{0};
    const auto low_mask = static_cast<__mmask16>(m), high_mask = static_cast<__mmask16>(m >> 16);
    Vec acc[R][C][2];
    PONDER_UNROLL
    for (int r = 0; r < R; ++r)
      PONDER_UNROLL
      for (int c = 0; c < C; ++c) {
        const float* at = out + static_cast<std::size_t>(r) * b.out_stride + static_cast<std::size_t>(c) * 32;
        const Vec factor = set1(s.rescale[r]);
        const Vec low = mul(_mm512_maskz_loadu_ps(low_mask, at), factor);
        const Vec high = mul(_mm512_maskz_loadu_ps(high_mask, at + kLanes), factor);
        acc[r][c][0] = _mm512_permutex2var_ps(low, to_first, high);
        acc[r][c][1] = _mm512_permutex2var_ps(low, to_second, high);
      }
    const auto* pairs = reinterpret_cast<const std::uint32_t*>(s.weights);
    for (std::size_t i = 0; i < n_keys; i += 2, values += 2 * b.value_stride_bytes, pairs += P) {
      __m512i v[C][2];
      PONDER_UNROLL
      for (int c = 0; c < C; ++c) {
        const unsigned char* at = values + c * 64;
        const __m512i even = kPart ? _mm512_maskz_loadu_epi16(m, at) : _mm512_loadu_si512(at);
        __m512i odd = _mm512_setzero_si512();
        if (i + 1 < n_keys)
          odd = kPart ? _mm512_maskz_loadu_epi16(m, at + b.value_stride_bytes) : _mm512_loadu_si512(at + b.value_stride_bytes);
        v[c][0] = _mm512_unpacklo_epi16(even, odd);
        v[c][1] = _mm512_unpackhi_epi16(even, odd);
      }
      PONDER_UNROLL
      for (int r = 0; r < R; ++r) {
        const __m512i p = _mm512_set1_epi32(static_cast<int>(pairs[r]));
        PONDER_UNROLL
        for (int c = 0; c < C; ++c)
          PONDER_UNROLL
          for (int h = 0; h < 2; ++h) acc[r][c][h] = dot_pairs(acc[r][c][h], p, v[c][h]);
      }
    }
    PONDER_UNROLL
    for (int r = 0; r < R; ++r)
      PONDER_UNROLL
      for (int c = 0; c < C; ++c) {
        float* at = out + static_cast<std::size_t>(r) * b.out_stride + static_cast<std::size_t>(c) * 32;
        _mm512_mask_storeu_ps(at, low_mask, _mm512_permutex2var_ps(acc[r][c][0], to_low, acc[r][c][1]));
        _mm512_mask_storeu_ps(at + kLanes, high_mask, _mm512_permutex2var_ps(acc[r][c][0], to_high, acc[r][c][1]));
      }
  }
  // p of keys 2 i and 2 i + 1 become one unit of 32 bits, in place: [pair][P].
  template <int P>
  static void pair_weights(std::size_t n_keys, AttendTileState& s) {
    if (n_keys % 2 != 0)
      for (int r = 0; r < P; ++r) s.weights[n_keys * P + static_cast<std::size_t>(r)] = 0;
    const auto round = [](float p) {
      std::uint32_t bits;
      __builtin_memcpy(&bits, &p, 4);
      return p == p ? (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16 : 0x7fc0u;
    };
    for (std::size_t i = 0; i < n_keys; i += 2)
      for (std::size_t r = 0; r < P; ++r) {
        const std::uint32_t unit = round(s.weights[i * P + r]) | round(s.weights[(i + 1) * P + r]) << 16;
        __builtin_memcpy(&s.weights[i / 2 * P + r], &unit, 4);
      }
  }
  template <int R>
  static void add_values(const AttendBlock& b, float* out, const unsigned char* values, std::size_t n_keys, AttendTileState& s) {
    constexpr int C = R > 6 ? 1 : R > 3 ? 2 : 4;
    pair_weights<row_pitch(R)>(n_keys, s);
    std::size_t k = 0;
    for (; k + C * 32 <= b.value_dims; k += C * 32) add_columns<R, C, false>(b, out + k, values + 2 * k, n_keys, s, 0);
    for (; k < b.value_dims; k += 32) add_columns<R, 1, true>(b, out + k, values + 2 * k, n_keys, s, b.value_dims - k);
  }
};
#endif

// Rows [row, row + n_rows) of what comes next; of each row the tile's share, so that fetching goes on all the time.
// Inlined early: GCC takes a function of prefetches alone for one without effect and drops its calls.
[[gnu::always_inline]] inline void fetch_next(const AttendBlock& b, std::size_t row, std::size_t n_rows, std::size_t tile, std::size_t n_tiles) {
  constexpr std::size_t kLine = 64;
  for (int part = 0; part < 2; ++part) {
    if (!b.next[part]) continue;
    const std::size_t n_lines = (b.next_bytes[part] + kLine - 1) / kLine;
    for (std::size_t i = row; i < row + n_rows && i < b.next_rows; ++i) {
      const auto* at = static_cast<const unsigned char*>(b.next[part]) + i * b.next_stride_bytes;
      for (std::size_t line = tile * n_lines / n_tiles; line < (tile + 1) * n_lines / n_tiles; ++line)
        __builtin_prefetch(at + line * kLine, 0, 2);
    }
  }
}

// scores [key][P] of R rows; lanes without a row or a key hold anything.
template <class Products, int R>
inline void score_keys(const AttendBlock& b, const unsigned char* queries, const unsigned char* keys, std::size_t n_keys,
                       float* scores, std::size_t tile, std::size_t n_tiles) {
  constexpr int P = row_pitch(R);
  constexpr std::size_t K = kLanes / P;
  const std::size_t whole = b.key_dims / Products::kStep * Products::kStep, rest = b.key_dims - whole;
  for (std::size_t i = 0; i < n_keys; i += K) {
    fetch_next(b, i, K, tile, n_tiles);
    const unsigned char* key[K];
    PONDER_UNROLL
    for (std::size_t j = 0; j < K; ++j) key[j] = keys + (i + j < n_keys ? i + j : n_keys - 1) * b.key_stride_bytes;
    Vec acc[kLanes];
    PONDER_UNROLL
    for (std::size_t j = 0; j < kLanes; ++j) acc[j] = zero();
    const auto step = [&](auto read_query, auto read_key) {
      typename Products::Operand q[R];
      PONDER_UNROLL
      for (std::size_t r = 0; r < R; ++r) q[r] = read_query(queries + r * b.query_stride_bytes);
      PONDER_UNROLL
      for (std::size_t j = 0; j < K; ++j) {
        const typename Products::Operand row = read_key(key[j]);
        PONDER_UNROLL
        for (std::size_t r = 0; r < R; ++r) acc[j * P + r] = Products::dot(acc[j * P + r], q[r], row);
      }
    };
    for (std::size_t k = 0; k < whole; k += Products::kStep)
      step([&](const unsigned char* q) { return Products::query(q + k * Products::kQueryBytes); },
           [&](const unsigned char* p) { return Products::key(p + k * Products::kKeyBytes); });
    if (rest > 0)
      step([&](const unsigned char* q) { return Products::query_part(q + whole * Products::kQueryBytes, rest); },
           [&](const unsigned char* p) { return Products::key_part(p + whole * Products::kKeyBytes, rest); });
    store(scores + i * P, sum_each(acc));
  }
}

// scores become p; the rows' maxima and sums are updated.
template <int R>
inline void softmax_tile(AttendTileState& s, std::size_t n_keys, float* running_max, float* sum) {
  constexpr int P = row_pitch(R);
  const std::size_t n = n_keys * P;
  for (std::size_t i = n; i % kLanes != 0; ++i) s.weights[i] = -__builtin_inff();
  Vec largest = set1(-__builtin_inff());
  for (std::size_t i = 0; i < n; i += kLanes) largest = max_or_second(load(s.weights + i), largest);
  alignas(64) float lanes[kLanes], bases[kLanes], old[kLanes];
  store(lanes, largest);
  for (std::size_t r = 0; r < R; ++r) {
    float most = running_max[r];
    old[r] = most;
    for (std::size_t i = r; i < kLanes; i += P) most = lanes[i] > most ? lanes[i] : most;
    running_max[r] = most;
    bases[r] = most == -__builtin_inff() ? 0.0f : most;
  }
  for (std::size_t r = R; r < P; ++r) old[r] = bases[r] = 0;
  for (std::size_t i = P; i < kLanes; ++i) bases[i] = bases[i - P], old[i] = 0;
  const Vec base = load(bases);
  store(s.rescale, exp_of_difference(load(old), base));
  Vec total = zero();
  for (std::size_t i = 0; i < n; i += kLanes) {
    const ExpParts e = exp_parts(sub(load(s.weights + i), base), zero());
    const Vec p = mul(mul(e.mantissa, e.first), e.second);
    store(s.weights + i, p);
    total = add(total, p);
  }
  store(lanes, total);
  for (std::size_t r = 0; r < R; ++r) {
    float part = lanes[r];
    for (std::size_t i = r + P; i < kLanes; i += P) part += lanes[i];
    sum[r] = sum[r] * s.rescale[r] + part;
  }
}

template <class Products, int R>
inline void attend_tile(const AttendBlock& b, std::size_t row, std::size_t key, std::size_t n_keys, std::size_t tile,
                        std::size_t n_tiles) {
  AttendTileState s;
  const auto at = [](const void* data, std::size_t stride, std::size_t i) {
    return static_cast<const unsigned char*>(data) + i * stride;
  };
  score_keys<Products, R>(b, at(b.queries, b.query_stride_bytes, row), at(b.keys, b.key_stride_bytes, key), n_keys, s.weights,
                          tile, n_tiles);
  softmax_tile<R>(s, n_keys, b.running_max + row, b.sum + row);
  Products::template add_values<R>(b, b.out + row * b.out_stride, at(b.values, b.value_stride_bytes, key), n_keys, s);
}

template <class Products, int R>
inline void attend_tile_of(std::size_t n_rows, const AttendBlock& b, std::size_t row, std::size_t key, std::size_t n_keys,
                           std::size_t tile, std::size_t n_tiles) {
  if (n_rows == R) attend_tile<Products, R>(b, row, key, n_keys, tile, n_tiles);
  else if constexpr (R > 1) attend_tile_of<Products, R - 1>(n_rows, b, row, key, n_keys, tile, n_tiles);
}

template <class Products>
inline void attend_simd(const AttendBlock& b) {
  const std::size_t n_tiles = (b.n_rows + kRowTile - 1) / kRowTile;  // of nearly equal size
  for (std::size_t key = 0; key < b.n_keys; key += kAttendKeys) {
    const std::size_t n_keys = b.n_keys - key < kAttendKeys ? b.n_keys - key : kAttendKeys;
    for (std::size_t tile = 0; tile < n_tiles; ++tile) {
      const std::size_t row = tile * b.n_rows / n_tiles, end = (tile + 1) * b.n_rows / n_tiles;
      attend_tile_of<Products, static_cast<int>(kRowTile)>(end - row, b, row, key, n_keys, tile, n_tiles);
    }
  }
}

}  // namespace
}  // namespace ponder::kernels
