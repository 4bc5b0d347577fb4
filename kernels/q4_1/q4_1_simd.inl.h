// Q4_1 in the vocabulary of avx2.inl.h / avx512.inl.h, which is included before.
#pragma once

#include "kernels/base/block_simd.inl.h"

namespace ponder::kernels {
namespace {

struct StoredQ41 {
  static constexpr std::size_t kElements = 32, kBytes = 20;
  template <class Sink>
  static void decode(const unsigned char* block, Sink& sink) {
    give32(sink, 0, nibbles(block + 4), half_at(block), half_at(block + 2));
  }
};

}  // namespace
}  // namespace ponder::kernels
