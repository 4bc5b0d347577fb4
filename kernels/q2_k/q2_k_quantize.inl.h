// How a block of Q2_K is made.
#pragma once

#include "kernels/base/quantize_super.inl.h"

namespace ponder::kernels {
namespace {

struct MakeQ2K {
  static constexpr std::size_t kElements = 256, kBytes = 84;
  static void encode(unsigned char* block, const float* x, const float* w) {
    unsigned char q[256];
    const AffineBlock<3, 16, 16, 15> b(x, w, q);
    for (std::size_t g = 0; g < 16; ++g) block[g] = static_cast<unsigned char>(b.scale[g] | b.minimum[g] << 4);
    for (std::size_t n = 0; n < 2; ++n)
      for (std::size_t i = 0; i < 32; ++i) {
        const unsigned char* c = q + 128 * n + i;
        block[16 + 32 * n + i] = static_cast<unsigned char>(c[0] | c[32] << 2 | c[64] << 4 | c[96] << 6);
      }
    put_half(block + 80, b.d);
    put_half(block + 82, b.dmin);
  }
};

}  // namespace
}  // namespace ponder::kernels
