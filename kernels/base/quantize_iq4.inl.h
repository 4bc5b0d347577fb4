// The codes of IQ4_NL and IQ4_XS for the quantisers.
#pragma once

#include "kernels/base/iq4_values.inl.h"
#include "kernels/base/quantize_search.inl.h"

namespace ponder::kernels {
namespace {

struct Iq4Codes {
  static constexpr float kLow = -127, kHigh = 113;
  // Every step between two values that `v` is past the middle of is taken.
  static Lanes nearest(const Lanes& v) {
    Lanes value = lanes_of(kLow);
    for (int i = 0; i < 15; ++i) {
      const auto low = static_cast<float>(kIq4Values[i]), high = static_cast<float>(kIq4Values[i + 1]);
      value += v > lanes_of((low + high) / 2) ? lanes_of(high - low) : Lanes{};
    }
    return value;
  }
  static unsigned char code(float value) {
    unsigned char i = 0;
    while (i < 15 && static_cast<float>(kIq4Values[i]) < value) ++i;
    return i;
  }
};

}  // namespace
}  // namespace ponder::kernels
