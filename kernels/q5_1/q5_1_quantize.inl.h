// How a block of Q5_1 is made.
#pragma once

#include "kernels/base/quantize_search.inl.h"

namespace ponder::kernels {
namespace {

struct MakeQ51 {
  static constexpr std::size_t kElements = 32, kBytes = 24;
  static void encode(unsigned char* block, const float* x, const float* w) {
    unsigned char q[32];
    const Affine a = half_affine<31>(Group<32>(x, w), q);
    put_half(block, a.scale);
    put_half(block + 2, -a.minimum);
    put_fifth_bits(block + 4, q);
    put_nibbles(block + 8, q);
  }
};

}  // namespace
}  // namespace ponder::kernels
