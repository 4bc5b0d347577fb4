// Q8_0 for dots with int8 activations, see int8_avx512.inl.h.
#pragma once

#include "kernels/base/int8_avx512.inl.h"

namespace ponder::kernels {
namespace {

struct BytesQ80 {
  static constexpr std::size_t kElements = 32, kBytes = 34;
  static constexpr int kGroup = 32, kZero = 128, kLow = -128, kHigh = 127;
  static constexpr bool kHasMinimum = false;
  static void unpack(const unsigned char* blocks, UnitWeights& w) {
    const auto d = [&](int i) { return static_cast<short>(u16_at(blocks + 34 * i)); };
    PONDER_UNROLL
    for (int v = 0; v < 4; ++v) {
      const __m512i q = join(bytes32(blocks + 68 * v + 2), bytes32(blocks + 68 * v + 36));
      w.q[v] = _mm512_xor_si512(q, _mm512_set1_epi8(-128));
    }
    const __m256 scales = _mm256_cvtph_ps(_mm_set_epi16(d(7), d(6), d(5), d(4), d(3), d(2), d(1), d(0)));
    w.scale = twice_each(_mm512_castps256_ps512(scales));
    w.minimum = zero();
  }
};

}  // namespace
}  // namespace ponder::kernels
