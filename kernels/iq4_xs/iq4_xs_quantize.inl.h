// How a block of IQ4_XS is made.
#pragma once

#include "kernels/base/quantize_iq4.inl.h"
#include "kernels/base/quantize_super.inl.h"

namespace ponder::kernels {
namespace {

struct MakeIq4Xs {
  static constexpr std::size_t kElements = 256, kBytes = 136;
  static void encode(unsigned char* block, const float* x, const float* w) {
    unsigned char q[256];
    const ScaledBlock<Iq4Codes, 32, 8, -32, 31> b(x, w, q);
    put_half(block, b.d);
    std::uint32_t high = 0;
    for (std::size_t g = 0; g < 8; ++g) {
      const auto scale = static_cast<std::uint32_t>(b.scale[g] + 32);
      high |= scale >> 4 << (2 * g);
      block[4 + g / 2] = static_cast<unsigned char>(g % 2 == 0 ? scale & 0xf : block[4 + g / 2] | (scale & 0xf) << 4);
      put_nibbles(block + 8 + 16 * g, q + 32 * g);
    }
    put_u16(block + 2, high);
  }
};

}  // namespace
}  // namespace ponder::kernels
