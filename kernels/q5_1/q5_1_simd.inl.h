// Q5_1 in the vocabulary of avx2.inl.h / avx512.inl.h, which is included before.
#pragma once

#include "kernels/base/block_simd.inl.h"

namespace ponder::kernels {
namespace {

struct StoredQ51 {
  static constexpr std::size_t kElements = 32, kBytes = 24;
  template <class Sink>
  static void decode(const unsigned char* block, Sink& sink) {
    const __m256i high = _mm256_and_si256(mask_of_bits(u32_at(block + 4)), _mm256_set1_epi8(16));
    give32(sink, 0, _mm256_or_si256(nibbles(block + 8), high), half_at(block), half_at(block + 2));
  }
};

}  // namespace
}  // namespace ponder::kernels
