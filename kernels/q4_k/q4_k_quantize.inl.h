// How a block of Q4_K is made.
#pragma once

#include "kernels/base/block_k4.inl.h"
#include "kernels/base/quantize_super.inl.h"

namespace ponder::kernels {
namespace {

struct MakeQ4K {
  static constexpr std::size_t kElements = 256, kBytes = 144;
  static void encode(unsigned char* block, const float* x, const float* w) {
    unsigned char q[256];
    const AffineBlock<15, 32, 8, 63> b(x, w, q);
    put_half(block, b.d);
    put_half(block + 2, b.dmin);
    put_k4(block + 4, b.scale, b.minimum);
    for (std::size_t j = 0; j < 4; ++j)
      for (std::size_t i = 0; i < 32; ++i)
        block[16 + 32 * j + i] = static_cast<unsigned char>(q[64 * j + i] | q[64 * j + 32 + i] << 4);
  }
};

}  // namespace
}  // namespace ponder::kernels
