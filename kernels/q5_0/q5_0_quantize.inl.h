// How a block of Q5_0 is made.
#pragma once

#include "kernels/base/quantize_search.inl.h"

namespace ponder::kernels {
namespace {

struct MakeQ50 {
  static constexpr std::size_t kElements = 32, kBytes = 22;
  static void encode(unsigned char* block, const float* x, const float* w) {
    unsigned char q[32];
    put_half(block, half_scaled<Integers<-16, 15>>(Group<32>(x, w), q));
    put_fifth_bits(block + 2, q);
    put_nibbles(block + 6, q);
  }
};

}  // namespace
}  // namespace ponder::kernels
