// IQ2_S in the vocabulary of avx2.inl.h / avx512.inl.h, which is included before.
#pragma once

#include "kernels/base/block_simd.inl.h"
#include "kernels/iq2_s/iq2_s_grid.inl.h"

namespace ponder::kernels {
namespace {

constexpr signed char kValues[16] = {8, 25, 43};  // of a code

struct StoredIq2S {
  static constexpr std::size_t kElements = 256, kBytes = 82;
  template <class Sink>
  static void decode(const unsigned char* block, Sink& sink) {
    const float d = half_at(block);
    for (std::size_t g = 0; g < 8; ++g) {
      const unsigned char *at = block + 2 + 4 * g, high = block[66 + g];
      const __m256i codes = _mm256_setr_epi64x(
          spread2(kIq2SGrid[at[0] | (high & 3) << 8]), spread2(kIq2SGrid[at[1] | (high >> 2 & 3) << 8]),
          spread2(kIq2SGrid[at[2] | (high >> 4 & 3) << 8]), spread2(kIq2SGrid[at[3] | high >> 6 << 8]));
      const __m256i values = negate_where(look_up(kValues, codes), mask_of_bits(u32_at(at + 32)));
      give16(sink, 32 * g, _mm256_castsi256_si128(values),
             d * (0.5f + static_cast<float>(block[74 + g] & 0xf)) * 0.25f);
      give16(sink, 32 * g + 16, _mm256_extracti128_si256(values, 1),
             d * (0.5f + static_cast<float>(block[74 + g] >> 4)) * 0.25f);
    }
  }
};

}  // namespace
}  // namespace ponder::kernels
