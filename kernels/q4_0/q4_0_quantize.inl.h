// How a block of Q4_0 is made.
#pragma once

#include "kernels/base/quantize_search.inl.h"

namespace ponder::kernels {
namespace {

struct MakeQ40 {
  static constexpr std::size_t kElements = 32, kBytes = 18;
  static void encode(unsigned char* block, const float* x, const float* w) {
    unsigned char q[32];
    put_half(block, half_scaled<Integers<-8, 7>>(Group<32>(x, w), q));
    put_nibbles(block + 2, q);
  }
};

}  // namespace
}  // namespace ponder::kernels
