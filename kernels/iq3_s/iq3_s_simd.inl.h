// IQ3_S in the vocabulary of avx2.inl.h / avx512.inl.h, which is included before.
#pragma once

#include "kernels/base/block_simd.inl.h"
#include "kernels/iq3_s/iq3_s_grid.inl.h"

namespace ponder::kernels {
namespace {

struct StoredIq3S {
  static constexpr std::size_t kElements = 256, kBytes = 110;
  template <class Sink>
  static void decode(const unsigned char* block, Sink& sink) {
    const float d = half_at(block);
    for (std::size_t g = 0; g < 8; ++g) {
      const unsigned char* at = block + 2 + 8 * g;
      const unsigned high = block[66 + g];
      const auto number = [&](std::size_t i) { return kIq3SGrid[at[i] | (high >> i & 1u) << 8]; };
      const auto eight = [&](std::size_t i) { return spread3(number(i) | std::uint64_t{number(i + 1)} << 12); };
      const __m256i codes = _mm256_setr_epi64x(eight(0), eight(2), eight(4), eight(6));
      const __m256i values = _mm256_or_si256(_mm256_add_epi8(codes, codes), _mm256_set1_epi8(1));
      const int scale = block[106 + g / 2] >> (g % 2 * 4) & 0xf;
      give32(sink, 32 * g, negate_where(values, mask_of_bits(u32_at(block + 74 + 4 * g))),
             d * static_cast<float>(1 + 2 * scale));
    }
  }
};

}  // namespace
}  // namespace ponder::kernels
