// How a block of Q6_K is made.
#pragma once

#include "kernels/base/quantize_super.inl.h"

namespace ponder::kernels {
namespace {

struct MakeQ6K {
  static constexpr std::size_t kElements = 256, kBytes = 210;
  static void encode(unsigned char* block, const float* x, const float* w) {
    unsigned char q[256];
    const ScaledBlock<Integers<-32, 31>, 16, 16, -128, 127> b(x, w, q);
    for (std::size_t n = 0; n < 2; ++n)
      for (std::size_t i = 0; i < 32; ++i) {
        const unsigned char* c = q + 128 * n + i;
        for (std::size_t j = 0; j < 2; ++j)
          block[64 * n + 32 * j + i] = static_cast<unsigned char>((c[32 * j] & 0xf) | (c[64 + 32 * j] & 0xf) << 4);
        block[128 + 32 * n + i] =
            static_cast<unsigned char>(c[0] >> 4 | c[32] >> 4 << 2 | c[64] >> 4 << 4 | c[96] >> 4 << 6);
      }
    for (std::size_t g = 0; g < 16; ++g) block[192 + g] = static_cast<unsigned char>(b.scale[g]);
    put_half(block + 208, b.d);
  }
};

}  // namespace
}  // namespace ponder::kernels
