// How a block of Q3_K is made.
#pragma once

#include "kernels/base/quantize_super.inl.h"

namespace ponder::kernels {
namespace {

struct MakeQ3K {
  static constexpr std::size_t kElements = 256, kBytes = 110;
  static void encode(unsigned char* block, const float* x, const float* w) {
    unsigned char q[256];
    const ScaledBlock<Integers<-4, 3>, 16, 16, -32, 31> b(x, w, q);
    for (std::size_t i = 0; i < 108; ++i) block[i] = 0;
    for (std::size_t k = 0; k < 256; ++k) {
      const std::size_t n = k / 128, j = k % 128 / 32, i = k % 32;
      block[32 + 32 * n + i] |= static_cast<unsigned char>((q[k] & 3) << (2 * j));
      block[i] |= static_cast<unsigned char>(q[k] >> 2 << (4 * n + j));
    }
    for (std::size_t g = 0; g < 16; ++g) {
      const auto scale = static_cast<unsigned>(b.scale[g] + 32);
      block[96 + g % 8] |= static_cast<unsigned char>((scale & 0xf) << (g / 8 * 4));
      block[104 + g % 4] |= static_cast<unsigned char>(scale >> 4 << (g / 4 * 2));
    }
    put_half(block + 108, b.d);
  }
};

}  // namespace
}  // namespace ponder::kernels
