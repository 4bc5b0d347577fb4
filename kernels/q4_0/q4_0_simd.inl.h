// Q4_0 in the vocabulary of avx2.inl.h / avx512.inl.h, which is included before.
#pragma once

#include "kernels/base/block_simd.inl.h"

namespace ponder::kernels {
namespace {

struct StoredQ40 {
  static constexpr std::size_t kElements = 32, kBytes = 18;
  template <class Sink>
  static void decode(const unsigned char* block, Sink& sink) {
    give32(sink, 0, _mm256_sub_epi8(nibbles(block + 2), _mm256_set1_epi8(8)), half_at(block));
  }
};

}  // namespace
}  // namespace ponder::kernels
