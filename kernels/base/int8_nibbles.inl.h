// Blocks of 32 weights of four or five bits (Q4_0 and its like) for int8_avx512.inl.h.
#pragma once

#include "kernels/base/int8_avx512.inl.h"
#include "kernels/base/iq4_values.inl.h"

namespace ponder::kernels {
namespace {

// The low nibbles of 16 bytes, their high ones, and the same of 16 other bytes.
inline __m512i nibbles_of_two(const unsigned char* first, const unsigned char* second) {
  const __m512i shift = _mm512_set_epi64(4, 4, 0, 0, 4, 4, 0, 0);
  const __m512i bytes = join(_mm256_broadcastsi128_si256(bytes16(first)), _mm256_broadcastsi128_si256(bytes16(second)));
  return _mm512_and_si512(_mm512_srlv_epi64(bytes, shift), _mm512_set1_epi8(0xf));
}

// Sixteen bytes each of four blocks of kBytes.
template <std::size_t kBytes>
inline __m512i nibbles_of_four(const unsigned char* first) {
  const __m256i low = both(bytes16(first), bytes16(first + kBytes));
  return join(low, both(bytes16(first + 2 * kBytes), bytes16(first + 3 * kBytes)));
}

// The f16 scales that begin eight blocks of 18 bytes, each for two groups of 16 weights.
inline Vec scales_of_18(const unsigned char* blocks) {
  const __m512i low = _mm512_loadu_si512(blocks), high = _mm512_loadu_si512(blocks + 72);
  const __m512i words =
      _mm512_setr_epi32(9 << 16, 27 << 16 | 18, 41 << 16 | 32, 59 << 16 | 50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  const __m512i halves = _mm512_permutex2var_epi16(low, words, high);
  return twice_each(_mm512_castps256_ps512(_mm256_cvtph_ps(_mm512_castsi512_si128(halves))));
}

// The values of IQ4_NL's codes plus 128, in each quarter.
inline __m512i iq4_values_from_zero() {
  __m128i values;
  __builtin_memcpy(&values, kIq4Values, 16);
  return _mm512_xor_si512(_mm512_broadcast_i32x4(values), _mm512_set1_epi8(-128));
}

// An f16 at `offset` of eight blocks of kBytes, each for two groups of 16 weights.
template <std::size_t kBytes>
inline Vec halves_of_blocks(const unsigned char* blocks, std::size_t offset) {
  const auto d = [&](std::size_t i) { return static_cast<short>(u16_at(blocks + kBytes * i + offset)); };
  const __m128i halves = _mm_set_epi16(d(7), d(6), d(5), d(4), d(3), d(2), d(1), d(0));
  return twice_each(_mm512_castps256_ps512(_mm256_cvtph_ps(halves)));
}

// The fifth bits of two blocks, bit i of each u32 that of weight i.
inline __m512i with_fifth_bits(__m512i q, const unsigned char* first, const unsigned char* second) {
  const __mmask64 bits = u32_at(first) | std::uint64_t{u32_at(second)} << 32;
  return _mm512_mask_add_epi8(q, bits, q, _mm512_set1_epi8(16));
}

}  // namespace
}  // namespace ponder::kernels
