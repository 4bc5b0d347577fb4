// Q4_K for dots with int8 activations, see int8_avx512.inl.h.
#pragma once

#include "kernels/base/int8_k4.inl.h"

namespace ponder::kernels {
namespace {

struct BytesQ4K {
  static constexpr std::size_t kElements = 256, kBytes = 144;
  static constexpr int kGroup = 32, kZero = 0, kLow = 0, kHigh = 15;
  static constexpr bool kHasMinimum = true;
  static RowPair unpack_pair(const unsigned char* first, const unsigned char* second) {
    const Vec of_odd_groups = _mm512_mask_mov_ps(set1(1.0f), 0xaaaa, set1(1.0f / 16));
    return unpack_pair_k4(first, second, of_odd_groups);
  }
  // High nibbles stay in their place: 16 times their codes.
  static void unpack_codes(const unsigned char* block, __m512i (&q)[4]) {
    const __m512i low_then_high = join(_mm256_set1_epi8(0x0f), _mm256_set1_epi8(static_cast<char>(0xf0)));
    PONDER_UNROLL
    for (int v = 0; v < 4; ++v) q[v] = _mm512_and_si512(_mm512_broadcast_i64x4(bytes32(block + 16 + 32 * v)), low_then_high);
  }
  static constexpr int kNibbleRun = 32;
  static __m512i nibbles_at(const unsigned char* block, int c) { return _mm512_loadu_si512(block + 16 + 64 * c); }
  static __m512i of_codes(__m512i codes) { return codes; }
  static void unpack_scales(const unsigned char* block, UnitWeights& w) { unpack_k4(block, w); }
};

}  // namespace
}  // namespace ponder::kernels
