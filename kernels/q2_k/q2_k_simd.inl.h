// Q2_K in the vocabulary of avx2.inl.h / avx512.inl.h, which is included before.
#pragma once

#include "kernels/base/block_simd.inl.h"

namespace ponder::kernels {
namespace {

struct StoredQ2K {
  static constexpr std::size_t kElements = 256, kBytes = 84;
  template <class Sink>
  static void decode(const unsigned char* block, Sink& sink) {
    const float d = half_at(block + 80), dmin = half_at(block + 82);
    for (std::size_t g = 0; g < 16; g += 2) {
      const __m256i bits = _mm256_srli_epi16(bytes32(block + 16 + g / 8 * 32), static_cast<int>(g % 8));
      const __m256i q = _mm256_and_si256(bits, _mm256_set1_epi8(3));
      give16(sink, 16 * g, _mm256_castsi256_si128(q), d * static_cast<float>(block[g] & 0xf),
             -(dmin * static_cast<float>(block[g] >> 4)));
      give16(sink, 16 * g + 16, _mm256_extracti128_si256(q, 1), d * static_cast<float>(block[g + 1] & 0xf),
             -(dmin * static_cast<float>(block[g + 1] >> 4)));
    }
  }
};

}  // namespace
}  // namespace ponder::kernels
