// IQ1_S in the vocabulary of avx2.inl.h / avx512.inl.h, which is included before.
#pragma once

#include "kernels/base/block_simd.inl.h"
#include "kernels/base/iq1_grid.inl.h"

namespace ponder::kernels {
namespace {

// Eighths: of the codes 0, 1, 2 with 1/8 added, and from 4 on with 1/8 taken off.
constexpr signed char kEighths[16] = {-7, 1, 9, 0, -9, -1, 7};

struct StoredIq1S {
  static constexpr std::size_t kElements = 256, kBytes = 50;
  template <class Sink>
  static void decode(const unsigned char* block, Sink& sink) {
    const float d = half_at(block);
    for (std::size_t g = 0; g < 8; ++g) {
      const unsigned char* at = block + 2 + 4 * g;
      const std::uint32_t more = u16_at(block + 34 + 2 * g);
      const auto eight = [&](std::size_t i) { return spread2(kIq1Grid[at[i] | (more >> (3 * i) & 7) << 8]); };
      const __m256i codes = _mm256_setr_epi64x(eight(0), eight(1), eight(2), eight(3));
      const __m256i shifted = _mm256_or_si256(codes, _mm256_set1_epi8(more & 0x8000 ? 4 : 0));
      give32(sink, 32 * g, look_up(kEighths, shifted), d * static_cast<float>(2 * (more >> 12 & 7) + 1) * 0.125f);
    }
  }
};

}  // namespace
}  // namespace ponder::kernels
