// IQ2_XS in the vocabulary of avx2.inl.h / avx512.inl.h, which is included before.
#pragma once

#include "kernels/base/block_simd.inl.h"
#include "kernels/iq2_xs/iq2_xs_grid.inl.h"

namespace ponder::kernels {
namespace {

constexpr signed char kValues[16] = {8, 25, 43};  // of a code

struct StoredIq2Xs {
  static constexpr std::size_t kElements = 256, kBytes = 74;
  template <class Sink>
  static void decode(const unsigned char* block, Sink& sink) {
    const float d = half_at(block);
    for (std::size_t g = 0; g < 8; ++g) {
      std::uint32_t q[4], signs = 0;
      for (std::uint32_t i = 0; i < 4; ++i) {
        q[i] = u16_at(block + 2 + 8 * g + 2 * i);
        signs |= eight_signs(q[i] >> 9) << (8 * i);
      }
      const __m256i codes =
          _mm256_setr_epi64x(spread2(kIq2XsGrid[q[0] & 511]), spread2(kIq2XsGrid[q[1] & 511]),
                             spread2(kIq2XsGrid[q[2] & 511]), spread2(kIq2XsGrid[q[3] & 511]));
      const __m256i values = negate_where(look_up(kValues, codes), mask_of_bits(signs));
      give16(sink, 32 * g, _mm256_castsi256_si128(values),
             d * (0.5f + static_cast<float>(block[66 + g] & 0xf)) * 0.25f);
      give16(sink, 32 * g + 16, _mm256_extracti128_si256(values, 1),
             d * (0.5f + static_cast<float>(block[66 + g] >> 4)) * 0.25f);
    }
  }
};

}  // namespace
}  // namespace ponder::kernels
