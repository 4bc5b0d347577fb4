// Q5_K for dots with int8 activations, see int8_avx512.inl.h.
#pragma once

#include "kernels/base/int8_k4.inl.h"

namespace ponder::kernels {
namespace {

struct BytesQ5K {
  static constexpr std::size_t kElements = 256, kBytes = 176;
  static constexpr int kGroup = 32, kZero = 0, kLow = 0, kHigh = 31;
  static constexpr bool kHasMinimum = true;
  static void unpack_codes(const unsigned char* block, __m512i (&q)[4]) {
    const __m512i high = _mm512_broadcast_i64x4(bytes32(block + 16));
    __m512i bit = join(_mm256_set1_epi8(1), _mm256_set1_epi8(2));
    PONDER_UNROLL
    for (int v = 0; v < 4; ++v) {
      const __m512i low = low_then_high_nibbles(bytes32(block + 48 + 32 * v));
      q[v] = _mm512_mask_add_epi8(low, _mm512_test_epi8_mask(high, bit), low, _mm512_set1_epi8(16));
      bit = _mm512_slli_epi16(bit, 2);
    }
  }
  static RowPair unpack_pair(const unsigned char* first, const unsigned char* second) {
    return unpack_pair_k4(first, second, set1(1.0f));
  }
  static void unpack(const unsigned char* block, UnitWeights& w) {
    unpack_codes(block, w.q);
    unpack_k4(block, w);
  }
};

}  // namespace
}  // namespace ponder::kernels
