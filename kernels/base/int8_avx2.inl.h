// Dots of quantised weights with int8 activations (AVX2), after block_simd.inl.h. A Bytes type gives 256 weights:
//   static constexpr std::size_t kElements, kBytes;  // of one block; 256 / kElements blocks make a unit
//   static constexpr int kZero;                      // W = scale (q - kZero) - minimum
//   static constexpr bool kSigned, kHasMinimum;      // q: -128 .. 127, or 0 .. 127, whose sums of two products fit int16
//   Bytes{blocks};                                   // const unsigned char*
//   void unpack(int v, __m256i (&q)[2]) const;       // weights 64 v .. 64 v + 63
//   void unpack_scales(UnitScales& s) const;
#pragma once

#include "kernels/base/int8_dot.inl.h"

namespace ponder::kernels {
namespace {

// Of Int8Kernels: a dot unpacks weights once per four tokens, the exact matmul once. Measured on one thread of Sapphire Rapids
// with 16 tokens: 1.02 (Q5_0) to 1.4 (Q2_K) times the speed of the exact one; with 6 tokens 0.8 where unpacking goes through
// Stored::decode.
constexpr std::size_t kMostDotTokens = 16, kMostDotTokensOfAny = 4;

struct UnitScales {
  Vec scale[2], minimum[2];  // lane l of [i]: of weights 16 (8 i + l) .. + 15
};

inline void twice_each(Vec of_pairs, Vec (&to)[2]) {
  to[0] = _mm256_permutevar8x32_ps(of_pairs, _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3));
  to[1] = _mm256_permutevar8x32_ps(of_pairs, _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7));
}
// Values 2 i and 2 i + 1 of eight, each over half of the lanes.
inline Vec spread_pair(Vec of_groups, int i) {
  const __m256i halves = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
  return _mm256_permutevar8x32_ps(of_groups, _mm256_add_epi32(halves, _mm256_set1_epi32(2 * i)));
}

// Any type. Values of no more than seven bits lose their sign.
template <class Stored, int Low, int High>
struct BytesOf {
  static constexpr std::size_t kElements = Stored::kElements, kBytes = Stored::kBytes;
  static constexpr bool kSigned = High - Low > 127, kHasMinimum = true;
  static constexpr int kZero = kSigned ? 0 : -Low;
  ByteSink sink;
  explicit BytesOf(const unsigned char* blocks) {
    for (sink.base = 0; sink.base < 256; sink.base += kElements, blocks += kBytes) Stored::decode(blocks, sink);
  }
  void unpack(int v, __m256i (&q)[2]) const {
    for (int i = 0; i < 2; ++i)
      q[i] = _mm256_add_epi8(bytes32(sink.q + 64 * v + 32 * i), _mm256_set1_epi8(static_cast<char>(kZero)));
  }
  void unpack_scales(UnitScales& s) const {
    for (int i = 0; i < 2; ++i) {
      s.scale[i] = load(sink.scale + 8 * i);
      s.minimum[i] = sub(zero(), load(sink.offset + 8 * i));
    }
  }
};

// Lane l: the sum of w[4 l + j] x[4 l + j], j < 4. x is -127 .. 127, so that no sum of two products leaves int16.
template <bool Signed>
inline Vec dot_bytes(__m256i w, __m256i x) {
  const __m256i pairs =
      Signed ? _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w)) : _mm256_maddubs_epi16(w, x);
  return _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

template <class Bytes, int T>
inline void dot_rows(float* y, std::size_t y_stride, const Int8Unit* x, std::size_t x_stride, const WeightMatrix& w,
                     std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  constexpr int kSums = T == 1 ? 4 : T == 2 ? 2 : 1;  // of a token: hide the latency of an fma
  const std::size_t n_units = int8_units(n_in);
  for (std::size_t row = row_begin; row < row_end; ++row) {
    Vec sums[T][kSums];
    PONDER_UNROLL
    for (int t = 0; t < T; ++t)
      for (int i = 0; i < kSums; ++i) sums[t][i] = zero();
    for (std::size_t u = 0; u < n_units; ++u) {
      const unsigned char* blocks = unit_at<Bytes>(w, row, int8_unit_begin(u, n_in));
      prefetch_ahead<Bytes>(blocks);
      const Bytes weights{blocks};
      UnitScales s;
      weights.unpack_scales(s);
      Vec scales[T][2];
      PONDER_UNROLL
      for (int i = 0; i < 2; ++i) {
        Vec minimum = s.minimum[i];
        if constexpr (Bytes::kZero != 0) {
          const Vec factor = set1(static_cast<float>(Bytes::kZero));
          minimum = Bytes::kHasMinimum ? fma(s.scale[i], factor, minimum) : mul(s.scale[i], factor);
        }
        PONDER_UNROLL
        for (int t = 0; t < T; ++t) {
          const Int8Unit& a = x[static_cast<std::size_t>(t) * x_stride + u];
          scales[t][i] = mul(s.scale[i], _mm256_load_ps(a.scale + 8 * i));
          if constexpr (Bytes::kZero != 0 || Bytes::kHasMinimum)
            sums[t][i % kSums] = _mm256_fnmadd_ps(minimum, _mm256_load_ps(a.scaled_sum + 8 * i), sums[t][i % kSums]);
        }
      }
      PONDER_UNROLL
      for (int v = 0; v < 4; ++v) {
        __m256i q[2];
        weights.unpack(v, q);
        PONDER_UNROLL
        for (int t = 0; t < T; ++t) {
          const Int8Unit& a = x[static_cast<std::size_t>(t) * x_stride + u];
          PONDER_UNROLL
          for (int i = 0; i < 2; ++i) {
            const __m256i values = _mm256_load_si256(reinterpret_cast<const __m256i*>(a.q + 64 * v + 32 * i));
            Vec& sum = sums[t][(2 * v + i) % kSums];
            sum = fma(dot_bytes<Bytes::kSigned>(q[i], values), spread_pair(scales[t][v / 2], v % 2 * 2 + i), sum);
          }
        }
      }
    }
    PONDER_UNROLL
    for (int t = 0; t < T; ++t) {
      Vec total = sums[t][0];
      if constexpr (kSums >= 2) total = add(total, sums[t][1]);
      if constexpr (kSums == 4) total = add(total, add(sums[t][2], sums[t][3]));
      y[static_cast<std::size_t>(t) * y_stride + row] = sum_lanes(total);
    }
  }
}

}  // namespace
}  // namespace ponder::kernels
