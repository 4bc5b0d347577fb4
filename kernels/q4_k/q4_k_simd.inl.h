// Q4_K in the vocabulary of avx2.inl.h / avx512.inl.h, which is included before.
#pragma once

#include "kernels/base/block_k4.inl.h"
#include "kernels/base/block_simd.inl.h"

namespace ponder::kernels {
namespace {

struct StoredQ4K {
  static constexpr std::size_t kElements = 256, kBytes = 144;
  template <class Sink>
  static void decode(const unsigned char* block, Sink& sink) {
    const float d = half_at(block), dmin = half_at(block + 2);
    for (std::size_t g = 0; g < 8; g += 2) {
      const __m256i q = bytes32(block + 16 + 16 * g);
      give32(sink, 32 * g, low_nibbles(q), d * k4_scale(block + 4, g), -(dmin * k4_minimum(block + 4, g)));
      give32(sink, 32 * g + 32, high_nibbles(q), d * k4_scale(block + 4, g + 1),
             -(dmin * k4_minimum(block + 4, g + 1)));
    }
  }
};

}  // namespace
}  // namespace ponder::kernels
