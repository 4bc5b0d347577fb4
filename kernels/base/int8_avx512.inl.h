// Dots of quantised weights with int8 activations (AVX-512 VNNI), after block_simd.inl.h. A Bytes type gives 256 weights:
//   static constexpr std::size_t kElements, kBytes;  // of one block; 256 / kElements blocks make a unit
//   static constexpr int kZero, kLow, kHigh;         // W = scale (q - kZero) - minimum, kLow <= q - kZero <= kHigh
//   static constexpr bool kHasMinimum;
//   static constexpr int kGroup;                     // weights with the same scale and minimum: 16 or 32
//   static void unpack(const unsigned char* blocks, UnitWeights& w);
// Types of four bits, optional: 128 bytes of nibbles, whose low ones are kNibbleRun weights and whose high ones are the next:
//   static constexpr int kNibbleRun;                 // 16 or 32
//   static __m512i nibbles_at(const unsigned char* blocks, int c);  // of weights 128 c .. 128 c + 127
//   static __m512i of_codes(__m512i codes);          // q
//   static void unpack_scales(const unsigned char* blocks, UnitWeights& w);
// Types of scales and minima that are costly to unpack, optional: of two rows at once, see dot_row_pairs:
//   static void unpack_codes(const unsigned char* block, __m512i (&q)[4]);  // q times a factor that the scale undoes
//   static RowPair unpack_pair(const unsigned char* first, const unsigned char* second);
#pragma once

#include "kernels/base/dot_bytes_avx512.inl.h"
#include "kernels/base/int8_dot.inl.h"
#include "kernels/base/transpose_avx512.inl.h"

namespace ponder::kernels {
namespace {

struct UnitWeights {
  __m512i q[4];        // u8, in the order of the row
  Vec scale, minimum;  // lane g: of weights 16 g .. 16 g + 15
};

inline __m512i join(__m256i low, __m256i high) { return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1); }
// A value for 16 weights each, spread over the 16 lanes of dots of weights 64 v .. 64 v + 63.
inline Vec spread_groups(Vec of_groups, int v) {
  const __m512i quarter = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
  return _mm512_permutexvar_ps(_mm512_add_epi32(quarter, _mm512_set1_epi32(4 * v)), of_groups);
}
// Lane g of the result: lane g / 2.
inline Vec twice_each(Vec of_pairs) {
  return _mm512_permutexvar_ps(_mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0), of_pairs);
}

// The bytes of any type, through its Stored::decode.
template <class Stored, int Group, int Low, int High>
struct BytesOf {
  static constexpr std::size_t kElements = Stored::kElements, kBytes = Stored::kBytes;
  static constexpr int kGroup = Group, kZero = 128, kLow = Low, kHigh = High;
  static constexpr bool kHasMinimum = true;
  static void unpack(const unsigned char* blocks, UnitWeights& w) {
    ByteSink sink;
    for (sink.base = 0; sink.base < 256; sink.base += kElements, blocks += kBytes) Stored::decode(blocks, sink);
    for (int v = 0; v < 4; ++v)  // by halves, as they were stored
      w.q[v] = _mm512_xor_si512(join(bytes32(sink.q + 64 * v), bytes32(sink.q + 64 * v + 32)), _mm512_set1_epi8(-128));
    w.scale = load(sink.scale);
    w.minimum = sub(zero(), load(sink.offset));
  }
};

// Scales and minima of two rows, lane 8 r + g that of weights 32 g .. 32 g + 31 of row r.
struct RowPair {
  Vec scale, minimum;
};
// Scale v of row r of a pair over the lanes of its dots of weights 64 v .. 64 v + 63.
inline Vec spread_pair(Vec of_pair, int r, int v) {
  const __m512i half = _mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
  return _mm512_permutexvar_ps(_mm512_add_epi32(half, _mm512_set1_epi32(8 * r + 2 * v)), of_pair);
}
inline Vec twice(const float* eight) { return _mm512_broadcast_f32x8(_mm256_load_ps(eight)); }

// As dot_single_rows; each row is computed as if it were alone, the last of an odd number with itself.
template <class Bytes, int T>
inline void dot_row_pairs(float* y, std::size_t y_stride, const Int8Unit* x, std::size_t x_stride, const WeightMatrix& w,
                          std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  const std::size_t n_units = int8_units(n_in);
  for (std::size_t row = row_begin; row < row_end; row += 2) {
    const std::size_t second = row + 1 < row_end ? row + 1 : row;
    Vec sum[2][T], minima[T];
    PONDER_UNROLL
    for (int t = 0; t < T; ++t) sum[0][t] = sum[1][t] = minima[t] = zero();
    for (std::size_t u = 0; u < n_units; ++u) {
      const std::size_t begin = int8_unit_begin(u, n_in);
      const unsigned char* blocks[2] = {unit_at<Bytes>(w, row, begin), unit_at<Bytes>(w, second, begin)};
      prefetch_ahead<Bytes>(blocks[0]);
      prefetch_ahead<Bytes>(blocks[1]);
      const RowPair pair = Bytes::unpack_pair(blocks[0], blocks[1]);
      Vec scale[T];
      PONDER_UNROLL
      for (int t = 0; t < T; ++t) {
        const Int8Unit& a = x[static_cast<std::size_t>(t) * x_stride + u];
        scale[t] = mul(pair.scale, twice(a.scale_32));
        minima[t] = fma(pair.minimum, twice(a.scaled_sum_32), minima[t]);
      }
      PONDER_UNROLL
      for (int r = 0; r < 2; ++r) {
        __m512i q[4];
        Bytes::unpack_codes(blocks[r], q);
        PONDER_UNROLL
        for (int t = 0; t < T; ++t) {
          const Int8Unit& a = x[static_cast<std::size_t>(t) * x_stride + u];
          PONDER_UNROLL
          for (int v = 0; v < 4; ++v) {
            const __m512i dots = dot_bytes(_mm512_setzero_si512(), q[v], _mm512_load_si512(a.q + 64 * v));
            sum[r][t] = fma(_mm512_cvtepi32_ps(dots), spread_pair(scale[t], r, v), sum[r][t]);
          }
        }
      }
    }
    PONDER_UNROLL
    for (int t = 0; t < T; ++t) {
      float* of_token = y + static_cast<std::size_t>(t) * y_stride;
      of_token[second] = sum_lanes(_mm512_mask_sub_ps(sum[1][t], 0xff00, sum[1][t], minima[t]));
      of_token[row] = sum_lanes(_mm512_mask_sub_ps(sum[0][t], 0x00ff, sum[0][t], minima[t]));
    }
  }
}

// Few tokens: weights are unpacked in registers. x: units of token t at x + t * x_stride.
template <class Bytes, int T>
inline void dot_single_rows(float* y, std::size_t y_stride, const Int8Unit* x, std::size_t x_stride, const WeightMatrix& w,
                     std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  const std::size_t n_units = int8_units(n_in);
  for (std::size_t row = row_begin; row < row_end; ++row) {
    Vec even[T], odd[T];
    PONDER_UNROLL
    for (int t = 0; t < T; ++t) even[t] = odd[t] = zero();
    for (std::size_t u = 0; u < n_units; ++u) {
      const unsigned char* blocks = unit_at<Bytes>(w, row, int8_unit_begin(u, n_in));
      prefetch_ahead<Bytes>(blocks);
      UnitWeights weights;
      Bytes::unpack(blocks, weights);
      Vec minimum = weights.minimum;
      if constexpr (Bytes::kZero != 0) {
        const Vec factor = set1(static_cast<float>(Bytes::kZero));
        minimum = Bytes::kHasMinimum ? fma(weights.scale, factor, minimum) : mul(weights.scale, factor);
      }
      PONDER_UNROLL
      for (int t = 0; t < T; ++t) {
        const Int8Unit& a = x[static_cast<std::size_t>(t) * x_stride + u];
        const Vec scale = mul(weights.scale, _mm512_load_ps(a.scale));
        odd[t] = _mm512_fnmadd_ps(minimum, _mm512_load_ps(a.scaled_sum), odd[t]);
        PONDER_UNROLL
        for (int v = 0; v < 4; ++v) {
          const __m512i dots = dot_bytes(_mm512_setzero_si512(), weights.q[v], _mm512_load_si512(a.q + 64 * v));
          Vec& sum = v % 2 ? odd[t] : even[t];
          sum = fma(_mm512_cvtepi32_ps(dots), spread_groups(scale, v), sum);
        }
      }
    }
    PONDER_UNROLL
    for (int t = 0; t < T; ++t) y[static_cast<std::size_t>(t) * y_stride + row] = sum_lanes(add(even[t], odd[t]));
  }
}

template <class Bytes, int T>
inline void dot_rows(float* y, std::size_t y_stride, const Int8Unit* x, std::size_t x_stride, const WeightMatrix& w,
                     std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  if constexpr (requires { Bytes::unpack_pair; })
    dot_row_pairs<Bytes, T>(y, y_stride, x, x_stride, w, row_begin, row_end, n_in);
  else
    dot_single_rows<Bytes, T>(y, y_stride, x, x_stride, w, row_begin, row_end, n_in);
}

// Many tokens: lanes are rows of W. Sixteen rows are unpacked and transposed; then 32 weights of each row become one
// scale and 32 bytes.

// Where 32 weights have one scale and no minimum, q - kZero + 128.
struct RowsShift {
  __m512i shift;
  template <class Bytes>
  static RowsShift of() {
    return {_mm512_set1_epi8(static_cast<char>(128 - Bytes::kZero))};
  }
  __m512i round(__m512i q) const { return _mm512_add_epi8(q, shift); }
};
// Else round(W / scale) + 128 in 8.8 fixed point, (q factor + offset) / 2^8, with the factor and offset of a group in
// both halves of each lane.
struct RowsRounding {
  __m512i factor, offset;
  RowsRounding(Vec inverse, Vec scale, Vec minimum, int q_zero) {  // inverse: 2^8 / the panel's scale
    const __m512i f = _mm512_cvtps_epi32(mul(scale, inverse));
    __m512i o = _mm512_sub_epi32(_mm512_set1_epi32(128 * 256 + 128), _mm512_cvtps_epi32(mul(minimum, inverse)));
    if (q_zero != 0) o = _mm512_sub_epi32(o, _mm512_mullo_epi16(f, _mm512_set1_epi32(q_zero)));
    factor = _mm512_mask_blend_epi16(0xaaaaaaaa, f, _mm512_slli_epi32(f, 16));
    offset = _mm512_mask_blend_epi16(0xaaaaaaaa, o, _mm512_slli_epi32(o, 16));
  }
  __m512i round(__m512i q) const {
    const __m512i even = _mm512_and_si512(q, _mm512_set1_epi16(0xff)), odd = _mm512_srli_epi16(q, 8);
    const __m512i low = _mm512_add_epi16(_mm512_mullo_epi16(even, factor), offset);
    const __m512i high = _mm512_add_epi16(_mm512_mullo_epi16(odd, factor), offset);
    return _mm512_ternarylogic_epi32(_mm512_srli_epi16(low, 8), high, _mm512_set1_epi16(-256), 0xf8);  // a | (b & c)
  }
};

// Scales (and minima) of sixteen rows, by group.
template <class Bytes>
struct RowsGroups {
  static constexpr bool kExact = Bytes::kGroup == 32 && !Bytes::kHasMinimum;
  __m512i scales[16], minima[16];
  Vec inverse[8];

  void set(std::size_t row, const UnitWeights& w) {
    scales[row] = _mm512_castps_si512(w.scale);
    if constexpr (Bytes::kHasMinimum) minima[row] = _mm512_castps_si512(w.minimum);
  }
  Vec scale(int g) const { return _mm512_castsi512_ps(scales[g]); }
  Vec minimum(int g) const {
    if constexpr (Bytes::kHasMinimum)
      return _mm512_castsi512_ps(minima[g]);
    else
      return zero();
  }
  // After all rows are set: the panel's scales.
  void transpose(Int8Panel* panel, std::size_t half) {
    transpose_units(scales);
    if constexpr (Bytes::kHasMinimum) transpose_units(minima);
    const Vec high = set1(static_cast<float>(Bytes::kHigh)), low = set1(static_cast<float>(Bytes::kLow));
    for (int b = 0; b < 8; ++b) {
      if constexpr (kExact) {
        store(panel->scale[b] + half, scale(2 * b));
      } else {
        Vec most = zero();
        __mmask16 not_a_number = 0;
        for (int g = 2 * b; g < 2 * b + 2; g += Bytes::kGroup / 16) {
          const Vec x = _mm512_fmsub_ps(scale(g), high, minimum(g)), y = _mm512_fmsub_ps(scale(g), low, minimum(g));
          not_a_number = static_cast<__mmask16>(not_a_number | _mm512_cmp_ps_mask(x, y, _CMP_UNORD_Q));
          most = _mm512_max_ps(most, _mm512_max_ps(_mm512_abs_ps(x), _mm512_abs_ps(y)));
        }
        const __mmask16 any = _mm512_cmp_ps_mask(most, set1(0x1p-100f), _CMP_GT_OQ);
        inverse[b] = _mm512_maskz_mul_ps(any, set1(127.0f * 256.0f), reciprocal(most));
        store(panel->scale[b] + half,
              _mm512_mask_mov_ps(mul(most, set1(1.0f / 127.0f)), not_a_number, set1(__builtin_nanf(""))));
      }
    }
  }
  auto rounding(int g) const {
    if constexpr (kExact)
      return RowsShift::of<Bytes>();
    else
      return RowsRounding(inverse[g / 2], scale(g), minimum(g), Bytes::kZero);
  }

 private:
  static Vec reciprocal(Vec a) {  // an iteration of Newton's doubles its 14 bits
    const Vec r = _mm512_rcp14_ps(a);
    return mul(r, _mm512_fnmadd_ps(a, r, set1(2.0f)));
  }
};

// Unpacked, then transposed.
template <class Bytes>
inline void fill_half(Int8Panel* panel, std::size_t half, const unsigned char* const (&blocks)[kLanes]) {
  __m512i bytes[4][16];
  RowsGroups<Bytes> groups;
  for (std::size_t r = 0; r < kLanes; ++r) {
    UnitWeights weights;
    Bytes::unpack(blocks[r], weights);
    PONDER_UNROLL
    for (int v = 0; v < 4; ++v) bytes[v][r] = weights.q[v];
    groups.set(r, weights);
  }
  groups.transpose(panel, half);
  for (int v = 0; v < 4; ++v) {
    transpose_units(bytes[v]);
    for (int g = 0; g < 4; g += Bytes::kGroup / 16) {
      const auto rounding = groups.rounding(4 * v + g);
      PONDER_UNROLL
      for (int p = 4 * g; p < 4 * g + Bytes::kGroup / 4; ++p)
        _mm512_store_si512(panel->q[16 * v + p] + 4 * half, rounding.round(bytes[v][p]));
    }
  }
}

// Transposed as nibbles, then unpacked: half the shuffles.
template <class Bytes>
inline void fill_half_of_nibbles(Int8Panel* panel, std::size_t half, const unsigned char* const (&blocks)[kLanes]) {
  __m512i nibbles[2][16];
  RowsGroups<Bytes> groups;
  for (std::size_t r = 0; r < kLanes; ++r) {
    UnitWeights weights;
    Bytes::unpack_scales(blocks[r], weights);
    nibbles[0][r] = Bytes::nibbles_at(blocks[r], 0);
    nibbles[1][r] = Bytes::nibbles_at(blocks[r], 1);
    groups.set(r, weights);
  }
  groups.transpose(panel, half);
  const __m512i low_bits = _mm512_set1_epi8(0xf);
  constexpr int kRun = Bytes::kNibbleRun / 4;  // low nibbles of so many units of four, then as many high ones
  for (int c = 0; c < 2; ++c) {
    transpose_units(nibbles[c]);
    for (int first = 0; first < 16; first += kRun) {
      const int low = 32 * c + 2 * first, high = low + kRun;
      const auto of_low = groups.rounding(low / 4), of_high = groups.rounding(high / 4);
      PONDER_UNROLL
      for (int i = 0; i < kRun; ++i) {
        const __m512i q = nibbles[c][first + i];
        _mm512_store_si512(panel->q[low + i] + 4 * half, of_low.round(Bytes::of_codes(_mm512_and_si512(q, low_bits))));
        const __m512i next = _mm512_and_si512(_mm512_srli_epi16(q, 4), low_bits);
        _mm512_store_si512(panel->q[high + i] + 4 * half, of_high.round(Bytes::of_codes(next)));
      }
    }
  }
}

template <class Bytes>
void fill_panel(Int8Panel* panel, const WeightMatrix* w, std::size_t row, std::size_t n_rows, std::size_t k) {
  constexpr std::size_t kUnitBytes = 256 / Bytes::kElements * Bytes::kBytes;
  panel->group = 32;
  panel->bits = 8;
  panel->biased = true;
  for (std::size_t half = 0; half < Int8Panel::kRows; half += kLanes) {
    const unsigned char* blocks[kLanes];
    for (std::size_t r = 0; r < kLanes; ++r) {  // rows past the end repeat the last one; their sums are not stored
      blocks[r] = unit_at<Bytes>(*w, row + (half + r < n_rows ? half + r : n_rows - 1), k);
      PONDER_UNROLL
      for (std::size_t i = 0; i < kUnitBytes; i += 64)  // the rows' next panel
        _mm_prefetch(reinterpret_cast<const char*>(blocks[r]) + kUnitBytes + i, _MM_HINT_T1);
    }
    if constexpr (requires { Bytes::kNibbleRun; }) fill_half_of_nibbles<Bytes>(panel, half, blocks);
    else fill_half<Bytes>(panel, half, blocks);
  }
}

}  // namespace
}  // namespace ponder::kernels
