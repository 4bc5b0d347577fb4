// How a block of Q5_K is made.
#pragma once

#include "kernels/base/block_k4.inl.h"
#include "kernels/base/quantize_super.inl.h"

namespace ponder::kernels {
namespace {

struct MakeQ5K {
  static constexpr std::size_t kElements = 256, kBytes = 176;
  static void encode(unsigned char* block, const float* x, const float* w) {
    unsigned char q[256];
    const AffineBlock<31, 32, 8, 63> b(x, w, q);
    put_half(block, b.d);
    put_half(block + 2, b.dmin);
    put_k4(block + 4, b.scale, b.minimum);
    for (std::size_t i = 0; i < 32; ++i) {
      unsigned high = 0;
      for (std::size_t g = 0; g < 8; ++g) high |= static_cast<unsigned>(q[32 * g + i] >> 4) << g;
      block[16 + i] = static_cast<unsigned char>(high);
      for (std::size_t j = 0; j < 4; ++j)
        block[48 + 32 * j + i] = static_cast<unsigned char>((q[64 * j + i] & 0xf) | (q[64 * j + 32 + i] & 0xf) << 4);
    }
  }
};

}  // namespace
}  // namespace ponder::kernels
