// How a block of Q8_0 is made. Codes -127 .. 127: products of int8 lanes elsewhere do not take -128.
#pragma once

#include "kernels/base/quantize_search.inl.h"

namespace ponder::kernels {
namespace {

struct MakeQ80 {
  static constexpr std::size_t kElements = 32, kBytes = 34;
  static void encode(unsigned char* block, const float* x, const float* w) {
    using Codes = Integers<-127, 127>;
    const Group<32> g(x, w);
    const float d = best_half_scale<Codes>(g, absolute(g.extreme()) / 127, 8);
    const float inverse = d != 0 ? 1 / d : 0;
    put_half(block, d);
    for (std::size_t p = 0; p < 4; ++p) {
      const Lanes q = Codes::nearest(g.x[p] * inverse);
      for (std::size_t l = 0; l < kLanes; ++l)
        block[2 + p * kLanes + l] = static_cast<unsigned char>(static_cast<int>(q[l]));
    }
  }
};

}  // namespace
}  // namespace ponder::kernels
