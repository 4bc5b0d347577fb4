// IQ4_NL in the vocabulary of avx2.inl.h / avx512.inl.h, which is included before.
#pragma once

#include "kernels/base/block_simd.inl.h"
#include "kernels/base/iq4_values.inl.h"

namespace ponder::kernels {
namespace {

struct StoredIq4Nl {
  static constexpr std::size_t kElements = 32, kBytes = 18;
  template <class Sink>
  static void decode(const unsigned char* block, Sink& sink) {
    give32(sink, 0, look_up(kIq4Values, nibbles(block + 2)), half_at(block));
  }
};

}  // namespace
}  // namespace ponder::kernels
