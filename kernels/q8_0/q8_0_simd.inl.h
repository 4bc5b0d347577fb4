// Q8_0 in the vocabulary of avx2.inl.h / avx512.inl.h, which is included before.
#pragma once

#include "kernels/base/block_simd.inl.h"

namespace ponder::kernels {
namespace {

struct StoredQ80 {
  static constexpr std::size_t kElements = 32, kBytes = 34;
  template <class Sink>
  static void decode(const unsigned char* block, Sink& sink) {
    give32(sink, 0, bytes32(block + 2), half_at(block));
  }
};

}  // namespace
}  // namespace ponder::kernels
