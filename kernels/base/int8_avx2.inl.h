// Dots of quantised weights with int8 activations (AVX2), after block_simd.inl.h. A Bytes type gives 256 weights:
//   static constexpr std::size_t kElements, kBytes;  // of one block; 256 / kElements blocks make a unit
//   static constexpr int kBits;                      // q: 0 .. 2^kBits - 1, kBits < 8, or -128 .. 127
//   static constexpr int kZero;                      // W = scale (q - kZero) - minimum
//   static constexpr bool kHasMinimum;
//   Bytes{blocks};                                   // const unsigned char*
//   void unpack(int v, __m256i (&q)[2]) const;       // weights 64 v .. 64 v + 63
//   void unpack_scales(UnitScales& s) const;
#pragma once

#include "kernels/base/int8_dot.inl.h"

namespace ponder::kernels {
namespace {

struct UnitScales {
  Vec scale[2], minimum[2];  // lane l of [i]: of weights 16 (8 i + l) .. + 15
};

inline void twice_each(Vec of_pairs, Vec (&to)[2]) {
  to[0] = _mm256_permutevar8x32_ps(of_pairs, _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3));
  to[1] = _mm256_permutevar8x32_ps(of_pairs, _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7));
}

// Any type. Values that seven bits hold lose their sign.
template <class Stored, int Low, int High>
struct BytesOf {
  static constexpr std::size_t kElements = Stored::kElements, kBytes = Stored::kBytes;
  static constexpr bool kHasMinimum = true;
  static constexpr int kBits = High - Low < 64 ? 6 : High - Low < 128 ? 7 : 8, kZero = kBits == 8 ? 0 : -Low;
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

// Sums of two neighbouring products in int16, which they do not leave: x is -127 .. 127.
template <int Bits>
inline __m256i pair_sums(__m256i w, __m256i x) {
  if constexpr (Bits == 8) return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
  else return _mm256_maddubs_epi16(w, x);
}
inline Vec add_pairs(__m256i sums) { return _mm256_cvtepi32_ps(_mm256_madd_epi16(sums, _mm256_set1_epi16(1))); }
// Values 4 v + order[l] of 16 for lanes l.
inline Vec spread4(const Vec (&of_groups)[2], int v, __m256i order) {
  return _mm256_permutevar8x32_ps(of_groups[v / 2], _mm256_add_epi32(order, _mm256_set1_epi32(v % 2 * 4)));
}
// sum + the products of weights and activations 64 v .. 64 v + 63.
template <int Bits>
inline Vec dot_64(Vec sum, const __m256i (&w)[2], const signed char* x, const Vec (&scale)[2], int v) {
  const __m256i* at = reinterpret_cast<const __m256i*>(x + 64 * v);
  const __m256i first = pair_sums<Bits>(w[0], _mm256_load_si256(at)), second = pair_sums<Bits>(w[1], _mm256_load_si256(at + 1));
  if constexpr (Bits <= 6) {  // sums of four fit, too
    const Vec dots = add_pairs(_mm256_hadd_epi16(first, second));
    return fma(dots, spread4(scale, v, _mm256_setr_epi32(0, 0, 2, 2, 1, 1, 3, 3)), sum);
  } else {
    sum = fma(add_pairs(first), spread4(scale, v, _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1)), sum);
    return fma(add_pairs(second), spread4(scale, v, _mm256_setr_epi32(2, 2, 2, 2, 3, 3, 3, 3)), sum);
  }
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
          Vec& sum = sums[t][v % kSums];
          sum = dot_64<Bytes::kBits>(sum, q, a.q, scales[t], v);
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
