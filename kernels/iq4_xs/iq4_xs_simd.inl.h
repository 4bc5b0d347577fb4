// IQ4_XS in the vocabulary of avx2.inl.h / avx512.inl.h, which is included before.
#pragma once

#include "kernels/base/block_simd.inl.h"
#include "kernels/base/iq4_values.inl.h"

namespace ponder::kernels {
namespace {

// The scales plus 32, a byte each: nibble g of a u32, and above it bits 2 g, 2 g + 1 of a u16.
inline __m128i iq4_xs_scales(const unsigned char* block) {
  const std::uint64_t low = _pdep_u64(u32_at(block + 4), 0x0f0f0f0f0f0f0f0f);
  return _mm_cvtsi64_si128(static_cast<long long>(low | _pdep_u64(u16_at(block + 2), 0x3030303030303030)));
}

struct StoredIq4Xs {
  static constexpr std::size_t kElements = 256, kBytes = 136;
  template <class Sink>
  static void decode(const unsigned char* block, Sink& sink) {
    const float d = half_at(block);
    const std::uint32_t high = u16_at(block + 2);
    for (std::size_t g = 0; g < 8; ++g) {
      const int scale = static_cast<int>((block[4 + g / 2] >> (g % 2 * 4) & 0xfu) | (high >> (2 * g) & 3u) << 4);
      give32(sink, 32 * g, look_up(kIq4Values, nibbles(block + 8 + 16 * g)), d * static_cast<float>(scale - 32));
    }
  }
};

}  // namespace
}  // namespace ponder::kernels
