// Q5_0 in the vocabulary of avx2.inl.h / avx512.inl.h, which is included before.
#pragma once

#include "kernels/base/block_simd.inl.h"

namespace ponder::kernels {
namespace {

struct StoredQ50 {
  static constexpr std::size_t kElements = 32, kBytes = 22;
  template <class Sink>
  static void decode(const unsigned char* block, Sink& sink) {
    const __m256i high = _mm256_and_si256(mask_of_bits(u32_at(block + 2)), _mm256_set1_epi8(16));
    const __m256i q = _mm256_or_si256(nibbles(block + 6), high);
    give32(sink, 0, _mm256_sub_epi8(q, _mm256_set1_epi8(16)), half_at(block));
  }
};

}  // namespace
}  // namespace ponder::kernels
