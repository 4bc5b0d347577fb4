// How a block of Q4_1 is made.
#pragma once

#include "kernels/base/quantize_search.inl.h"

namespace ponder::kernels {
namespace {

struct MakeQ41 {
  static constexpr std::size_t kElements = 32, kBytes = 20;
  static void encode(unsigned char* block, const float* x, const float* w) {
    unsigned char q[32];
    const Affine a = half_affine<15>(Group<32>(x, w), q);
    put_half(block, a.scale);
    put_half(block + 2, -a.minimum);
    put_nibbles(block + 4, q);
  }
};

}  // namespace
}  // namespace ponder::kernels
