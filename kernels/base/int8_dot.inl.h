// What dots of quantised weights with int8 activations share, see int8_avx512.inl.h and int8_avx2.inl.h.
#pragma once

#include "kernels/base/block_simd.inl.h"
#include "kernels/base/int8_panel.h"

namespace ponder::kernels {
namespace {

// 256 weights as Stored::decode of any type gives them: W = scale q + offset, q signed.
struct ByteSink {
  alignas(64) unsigned char q[256];
  alignas(64) float scale[16], offset[16];
  std::size_t base;
};
inline void give16(ByteSink& sink, std::size_t i, __m128i q, float scale, float offset = 0) {
  _mm_store_si128(reinterpret_cast<__m128i*>(sink.q + sink.base + i), q);
  sink.scale[(sink.base + i) / 16] = scale;
  sink.offset[(sink.base + i) / 16] = offset;
}
inline void give32(ByteSink& sink, std::size_t i, __m256i q, float scale, float offset = 0) {
  _mm256_store_si256(reinterpret_cast<__m256i*>(sink.q + sink.base + i), q);
  const std::size_t g = (sink.base + i) / 16;
  sink.scale[g] = sink.scale[g + 1] = scale;
  sink.offset[g] = sink.offset[g + 1] = offset;
}

inline std::uint64_t u64_at(const unsigned char* p) {
  std::uint64_t bits;
  __builtin_memcpy(&bits, p, sizeof bits);
  return bits;
}

// Scales and minima of a block of Q4_K or Q5_K (block_k4.inl.h), made in general registers, whose ports are idle.
struct K4Codes {
  std::uint64_t low, high;  // bytes: scales 0 .. 3, minima 0 .. 3; scales 4 .. 7, minima 4 .. 7
  explicit K4Codes(const unsigned char* block) {
    const std::uint64_t both = u64_at(block + 4), more = u32_at(block + 12), nibbles = more | more << 28;
    low = both & 0x3f3f3f3f3f3f3f3f;
    high = (nibbles & 0x0f0f0f0f0f0f0f0f) | (both >> 2 & 0x3030303030303030);
  }
};

template <class Bytes>
inline const unsigned char* unit_at(const WeightMatrix& w, std::size_t row, std::size_t k) {
  return static_cast<const unsigned char*>(w.data) + row * w.row_stride_bytes + k / Bytes::kElements * Bytes::kBytes;
}

// How far ahead weights are fetched into L2 and L1: rows follow each other in memory. On 262144 x 2048 Q4_K from memory, one
// thread of Sapphire Rapids: 7.3 GB/s without, 11.4 with one of the two, 11.9 with both.
constexpr std::size_t kFarBytes = 8192, kNearBytes = 1024;
template <class Bytes>
inline void prefetch_ahead(const unsigned char* unit) {
  constexpr std::size_t kUnitBytes = 256 / Bytes::kElements * Bytes::kBytes;
  PONDER_UNROLL
  for (std::size_t i = 0; i < kUnitBytes; i += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(unit) + kFarBytes + i, _MM_HINT_T1);
    _mm_prefetch(reinterpret_cast<const char*>(unit) + kNearBytes + i, _MM_HINT_T0);
  }
}

// Few tokens: weights are unpacked in registers. x: units of token t at x + t * x_stride. One per instruction set.
template <class Bytes, int T>
void dot_rows(float* y, std::size_t y_stride, const Int8Unit* x, std::size_t x_stride, const WeightMatrix& w,
              std::size_t row_begin, std::size_t row_end, std::size_t n_in);

template <class Bytes>
void dot_int8(float* y, std::size_t y_stride, const Int8Unit* x, std::size_t x_stride, const WeightMatrix* matrix,
              std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  for (; n_tokens >= 8; n_tokens -= 8, x += 8 * x_stride, y += 8 * y_stride)
    dot_rows<Bytes, 8>(y, y_stride, x, x_stride, *matrix, row_begin, row_end, n_in);
  for (; n_tokens >= 4; n_tokens -= 4, x += 4 * x_stride, y += 4 * y_stride)
    dot_rows<Bytes, 4>(y, y_stride, x, x_stride, *matrix, row_begin, row_end, n_in);
  if (n_tokens == 3) dot_rows<Bytes, 3>(y, y_stride, x, x_stride, *matrix, row_begin, row_end, n_in);
  if (n_tokens == 2) dot_rows<Bytes, 2>(y, y_stride, x, x_stride, *matrix, row_begin, row_end, n_in);
  if (n_tokens == 1) dot_rows<Bytes, 1>(y, y_stride, x, x_stride, *matrix, row_begin, row_end, n_in);
}

}  // namespace
}  // namespace ponder::kernels
