// Q3_K in the vocabulary of avx2.inl.h / avx512.inl.h, which is included before.
#pragma once

#include "kernels/base/block_simd.inl.h"

namespace ponder::kernels {
namespace {

struct StoredQ3K {
  static constexpr std::size_t kElements = 256, kBytes = 110;
  template <class Sink>
  static void decode(const unsigned char* block, Sink& sink) {
    const unsigned char* s = block + 96;
    const float d = half_at(block + 108);
    const __m256i high = bytes32(block);
    const auto factor = [&](std::size_t g) {
      return d * static_cast<float>(((s[g % 8] >> (g / 8 * 4) & 0xf) | (s[8 + g % 4] >> (g / 4 * 2) & 3) << 4) - 32);
    };
    for (std::size_t g = 0; g < 16; g += 2) {
      const __m256i bits = _mm256_srli_epi16(bytes32(block + 32 + g / 8 * 32), static_cast<int>(g % 8));
      const __m256i low = _mm256_and_si256(bits, _mm256_set1_epi8(3));
      const __m256i code = _mm256_or_si256(low, where_bit(high, static_cast<int>(g / 2), 4));
      const __m256i q = _mm256_sub_epi8(code, _mm256_set1_epi8(4));
      give16(sink, 16 * g, _mm256_castsi256_si128(q), factor(g));
      give16(sink, 16 * g + 16, _mm256_extracti128_si256(q, 1), factor(g + 1));
    }
  }
};

}  // namespace
}  // namespace ponder::kernels
