// Q6_K in the vocabulary of avx2.inl.h / avx512.inl.h, which is included before.
#pragma once

#include "kernels/base/block_simd.inl.h"

namespace ponder::kernels {
namespace {

struct StoredQ6K {
  static constexpr std::size_t kElements = 256, kBytes = 210;
  template <class Sink>
  static void decode(const unsigned char* block, Sink& sink) {
    const float d = half_at(block + 208);
    const auto scale = [&](std::size_t g) { return d * static_cast<float>(static_cast<signed char>(block[192 + g])); };
    for (std::size_t n = 0; n < 2; ++n) {
      const __m256i h = bytes32(block + 128 + 32 * n);
      for (std::size_t j = 0; j < 4; ++j) {
        const __m256i bytes = bytes32(block + 64 * n + j % 2 * 32);
        const __m256i low = j < 2 ? low_nibbles(bytes) : high_nibbles(bytes);
        const __m256i high = _mm256_and_si256(_mm256_srli_epi16(h, static_cast<int>(2 * j)), _mm256_set1_epi8(3));
        const __m256i q = _mm256_sub_epi8(_mm256_or_si256(low, _mm256_slli_epi16(high, 4)), _mm256_set1_epi8(32));
        const std::size_t g = 8 * n + 2 * j;
        give16(sink, 16 * g, _mm256_castsi256_si128(q), scale(g));
        give16(sink, 16 * g + 16, _mm256_extracti128_si256(q, 1), scale(g + 1));
      }
    }
  }
};

}  // namespace
}  // namespace ponder::kernels
