// Panels for the int8 matmul (AVX2), of the Bytes types of int8_avx2.inl.h. Optional there:
//   static constexpr int kGroup;  // weights with the same scale and minimum: 16 (where it is not said) or 32
#pragma once

#include "kernels/base/int8_avx2.inl.h"

namespace ponder::kernels {
namespace {

// Eight rows of eight units, from memory rows `stride` units apart; column c goes to `give(c, its units)`.
template <class Give>
inline void transpose_units(const void* units, std::size_t stride, const Give& give) {
  __m256i v[8], a[8], b[8];
  PONDER_UNROLL
  for (std::size_t i = 0; i < 8; ++i) v[i] = bytes32(static_cast<const unsigned char*>(units) + 4 * stride * i);
  PONDER_UNROLL
  for (std::size_t i = 0; i < 8; i += 2) {
    a[i] = _mm256_unpacklo_epi32(v[i], v[i + 1]);
    a[i + 1] = _mm256_unpackhi_epi32(v[i], v[i + 1]);
  }
  PONDER_UNROLL
  for (std::size_t i = 0; i < 8; i += 4)
    for (std::size_t j = 0; j < 2; ++j) {
      b[i + 2 * j] = _mm256_unpacklo_epi64(a[i + j], a[i + j + 2]);
      b[i + 2 * j + 1] = _mm256_unpackhi_epi64(a[i + j], a[i + j + 2]);
    }
  // b[4 h + c] holds, in its halves, columns c and 4 + c of rows 4 h .. 4 h + 3.
  PONDER_UNROLL
  for (std::size_t c = 0; c < 4; ++c) {
    give(c, _mm256_permute2x128_si256(b[c], b[4 + c], 0x20));
    give(4 + c, _mm256_permute2x128_si256(b[c], b[4 + c], 0x31));
  }
}

template <class Bytes>
constexpr int group_of() {
  if constexpr (requires { Bytes::kGroup; }) return Bytes::kGroup;
  else return 16;
}

template <class Bytes>
void fill_panel(Int8Panel* panel, const WeightMatrix* w, std::size_t row, std::size_t n_rows, std::size_t k) {
  static_assert(Bytes::kBits < 8 || (Bytes::kZero == 0 && !Bytes::kHasMinimum));
  constexpr std::size_t kUnitBytes = 256 / Bytes::kElements * Bytes::kBytes, kGroup = group_of<Bytes>();
  panel->group = kGroup;
  panel->bits = Bytes::kBits < 4 ? 4 : Bytes::kBits;
  panel->biased = false;
  for (std::size_t first = 0; first < Int8Panel::kRows && first < n_rows; first += 8) {
    alignas(32) unsigned char q[8][8][32];  // [of 32 columns][row]
    alignas(32) float scales[8][16], minima[8][16];
    for (std::size_t r = 0; r < 8; ++r) {  // rows past the end repeat the last one; their sums are not stored
      const unsigned char* blocks = unit_at<Bytes>(*w, row + (first + r < n_rows ? first + r : n_rows - 1), k);
      PONDER_UNROLL
      for (std::size_t i = 0; i < kUnitBytes; i += 64)  // the row's next panel
        _mm_prefetch(reinterpret_cast<const char*>(blocks) + kUnitBytes + i, _MM_HINT_T1);
      const Bytes weights{blocks};
      UnitScales s;
      weights.unpack_scales(s);
      for (int i = 0; i < 2; ++i) {
        _mm256_store_ps(scales[r] + 8 * i, s.scale[i]);
        Vec minimum = s.minimum[i];
        if constexpr (Bytes::kZero != 0) {
          const Vec zero_code = set1(static_cast<float>(Bytes::kZero));
          minimum = Bytes::kHasMinimum ? fma(s.scale[i], zero_code, minimum) : mul(s.scale[i], zero_code);
        }
        if constexpr (Bytes::kBits < 8) _mm256_store_ps(minima[r] + 8 * i, minimum);
      }
      PONDER_UNROLL
      for (int v = 0; v < 4; ++v) {
        __m256i both_halves[2];
        weights.unpack(v, both_halves);
        _mm256_store_si256(reinterpret_cast<__m256i*>(q[2 * v][r]), both_halves[0]);
        _mm256_store_si256(reinterpret_cast<__m256i*>(q[2 * v + 1][r]), both_halves[1]);
      }
    }
    for (std::size_t b = 0; b < 8; ++b)
      transpose_units(q[b], 8, [&](std::size_t c, __m256i units) {
        _mm256_store_si256(reinterpret_cast<__m256i*>(panel->q[8 * b + c] + 4 * first), units);
      });
    const auto transpose_groups = [&](const float (&of_rows)[8][16], float (&to)[16][Int8Panel::kRows]) {
      for (std::size_t half = 0; half < 2; ++half)
        transpose_units(of_rows[0] + 8 * half, 16, [&](std::size_t c, __m256i units) {
          const std::size_t sixteen = 8 * half + c;
          if (sixteen % (kGroup / 16) == 0)
            _mm256_store_ps(to[sixteen / (kGroup / 16)] + first, _mm256_castsi256_ps(units));
        });
    };
    transpose_groups(scales, panel->scale);
    if constexpr (Bytes::kBits < 8) transpose_groups(minima, panel->minimum);
  }
}

}  // namespace
}  // namespace ponder::kernels
