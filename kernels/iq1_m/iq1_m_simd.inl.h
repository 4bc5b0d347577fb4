// IQ1_M in the vocabulary of avx2.inl.h / avx512.inl.h, which is included before.
#pragma once

#include "kernels/base/block_simd.inl.h"
#include "kernels/base/iq1_grid.inl.h"

namespace ponder::kernels {
namespace {

// Eighths: of the codes 0, 1, 2 with 1/8 added, and from 4 on with 1/8 taken off.
constexpr signed char kEighths[16] = {-7, 1, 9, 0, -9, -1, 7};

struct StoredIq1M {
  static constexpr std::size_t kElements = 256, kBytes = 56;
  template <class Sink>
  static void decode(const unsigned char* block, Sink& sink) {
    const unsigned char* s = block + 48;
    const float d = half_of(u16_at(s) >> 12 | (u16_at(s + 2) >> 12) << 4 | (u16_at(s + 4) >> 12) << 8 |
                            (u16_at(s + 6) >> 12) << 12);
    for (std::size_t g = 0; g < 8; ++g) {
      const unsigned char* at = block + 4 * g;
      const std::uint32_t more = u16_at(block + 32 + 2 * g), scales = u16_at(s + g / 2 * 2) >> (6 * (g % 2));
      const auto eight = [&](std::size_t i) {
        const std::uint32_t nibble = more >> (4 * i) & 0xf;
        return spread2(kIq1Grid[at[i] | (nibble & 7) << 8]) | (nibble & 8 ? 0x0404040404040404 : 0);
      };
      const __m256i values = look_up(kEighths, _mm256_setr_epi64x(eight(0), eight(1), eight(2), eight(3)));
      give16(sink, 32 * g, _mm256_castsi256_si128(values), d * static_cast<float>(2 * (scales & 7) + 1) * 0.125f);
      give16(sink, 32 * g + 16, _mm256_extracti128_si256(values, 1),
             d * static_cast<float>(2 * (scales >> 3 & 7) + 1) * 0.125f);
    }
  }
};

}  // namespace
}  // namespace ponder::kernels
