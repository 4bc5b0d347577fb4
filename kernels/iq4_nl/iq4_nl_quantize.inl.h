// How a block of IQ4_NL is made.
#pragma once

#include "kernels/base/quantize_iq4.inl.h"

namespace ponder::kernels {
namespace {

struct MakeIq4Nl {
  static constexpr std::size_t kElements = 32, kBytes = 18;
  static void encode(unsigned char* block, const float* x, const float* w) {
    unsigned char q[32];
    put_half(block, half_scaled<Iq4Codes>(Group<32>(x, w), q));
    put_nibbles(block + 2, q);
  }
};

}  // namespace
}  // namespace ponder::kernels
