// IQ3_XXS in the vocabulary of avx2.inl.h / avx512.inl.h, which is included before.
#pragma once

#include "kernels/base/block_simd.inl.h"
#include "kernels/iq3_xxs/iq3_xxs_grid.inl.h"

namespace ponder::kernels {
namespace {

constexpr signed char kValues[16] = {4, 12, 20, 28, 36, 44, 52, 62};  // of a code

struct StoredIq3Xxs {
  static constexpr std::size_t kElements = 256, kBytes = 98;
  template <class Sink>
  static void decode(const unsigned char* block, Sink& sink) {
    const float d = half_at(block);
    for (std::size_t g = 0; g < 8; ++g) {
      const unsigned char* at = block + 2 + 8 * g;
      const std::uint32_t more = u32_at(block + 66 + 4 * g);
      const auto eight = [&](std::size_t i) {
        return spread3(kIq3XxsGrid[at[i]] | std::uint64_t{kIq3XxsGrid[at[i + 1]]} << 12);
      };
      const __m256i codes = _mm256_setr_epi64x(eight(0), eight(2), eight(4), eight(6));
      const std::uint32_t signs = eight_signs(more & 127) | eight_signs(more >> 7 & 127) << 8 |
                                  eight_signs(more >> 14 & 127) << 16 | eight_signs(more >> 21 & 127) << 24;
      give32(sink, 32 * g, negate_where(look_up(kValues, codes), mask_of_bits(signs)),
             d * (0.5f + static_cast<float>(more >> 28)) * 0.5f);
    }
  }
};

}  // namespace
}  // namespace ponder::kernels
