// Pieces of blocks that several types have, for int8_avx2.inl.h.
#pragma once

#include "kernels/base/int8_panel_avx2.inl.h"

namespace ponder::kernels {
namespace {

inline Vec from_u8(__m128i bytes) { return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)); }  // the first eight

// The low nibbles of 16 bytes, then their high ones.
inline __m256i spread_nibbles(const unsigned char* p) {
  const __m256i shift = _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4);
  return low_nibbles(_mm256_srlv_epi32(_mm256_broadcastsi128_si256(bytes16(p)), shift));
}
// The two bits 2 j, 2 j + 1 of each byte.
inline __m256i bit_pairs(__m256i bytes, int j) {
  return _mm256_and_si256(_mm256_srli_epi16(bytes, 2 * j), _mm256_set1_epi8(3));
}
// Bit `from` of each byte as its bit `to`.
inline __m256i move_bit(__m256i bytes, int from, int to) {
  const __m256i moved = from < to ? _mm256_slli_epi16(bytes, to - from) : _mm256_srli_epi16(bytes, from - to);
  return _mm256_and_si256(moved, _mm256_set1_epi8(static_cast<char>(1 << to)));
}
inline __m256i fifth_bits(const unsigned char* p) {
  return _mm256_and_si256(mask_of_bits(u32_at(p)), _mm256_set1_epi8(16));
}

// An f16 at `offset` of eight blocks of kBytes.
template <std::size_t kBytes>
inline Vec halves_of_blocks(const unsigned char* blocks, std::size_t offset = 0) {
  const auto d = [&](std::size_t i) { return static_cast<short>(u16_at(blocks + kBytes * i + offset)); };
  return _mm256_cvtph_ps(_mm_set_epi16(d(7), d(6), d(5), d(4), d(3), d(2), d(1), d(0)));
}

inline void unpack_k4(const unsigned char* block, UnitScales& s) {
  const K4Codes k4(block);
  const __m128i codes = _mm_unpacklo_epi32(_mm_cvtsi64_si128(static_cast<long long>(k4.low)),
                                           _mm_cvtsi64_si128(static_cast<long long>(k4.high)));
  twice_each(mul(from_u8(codes), set1(half_at(block))), s.scale);
  twice_each(mul(from_u8(_mm_srli_si128(codes, 8)), set1(half_at(block + 2))), s.minimum);
}

}  // namespace
}  // namespace ponder::kernels
