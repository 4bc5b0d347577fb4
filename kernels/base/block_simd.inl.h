// to_f32, matmul and vecmat for the GGUF block types, in the vocabulary of avx2.inl.h / avx512.inl.h, which is included
// before. A Stored type gives the weights of a block in order, kLanes at a time:
//   static constexpr std::size_t kElements, kBytes;  template <class Sink> static void decode(block, Sink& sink);
//   sink(i, Vec) for i = 0, kLanes, 2 kLanes, ...
// Every sum has the order of matmul_f32 and vecmat_f32: a product has the bits of theirs on the weights decoded before.
// Integer dots on quantised activations (fast compute) will be kernels of their own beside these.
#pragma once

#include "kernels/base/vecmat_simd.inl.h"

namespace ponder::kernels {
namespace {

inline std::uint32_t u16_at(const unsigned char* p) { return static_cast<std::uint32_t>(p[0] | p[1] << 8); }
inline std::uint32_t u32_at(const unsigned char* p) { return u16_at(p) | u16_at(p + 2) << 16; }
inline float half_of(std::uint32_t bits) { return _cvtsh_ss(static_cast<unsigned short>(bits)); }
inline float half_at(const unsigned char* p) { return half_of(u16_at(p)); }
inline __m128i bytes16(const unsigned char* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
inline __m256i bytes32(const unsigned char* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
inline __m256i both(__m128i low, __m128i high) { return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1); }
inline __m256i low_nibbles(__m256i q) { return _mm256_and_si256(q, _mm256_set1_epi8(0xf)); }
inline __m256i high_nibbles(__m256i q) { return low_nibbles(_mm256_srli_epi16(q, 4)); }
// The 32 nibbles of 16 bytes, the low ones first.
inline __m256i nibbles(const unsigned char* p) {
  const __m128i q = bytes16(p);
  return low_nibbles(both(q, _mm_srli_epi16(q, 4)));
}
// Byte i: 0xff where bit i is set.
inline __m256i mask_of_bits(std::uint32_t bits) {
  const __m256i at = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201));
  const __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(bits)), at);
  return _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit);
}
// Byte i: `value` where bit `bit` of byte i of q is set.
inline __m256i where_bit(__m256i q, int bit, int value) {
  const __m256i mask = _mm256_set1_epi8(static_cast<char>(1 << bit));
  return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(q, mask), mask),
                          _mm256_set1_epi8(static_cast<char>(value)));
}
inline __m256i negate_where(__m256i q, __m256i mask) { return _mm256_sub_epi8(_mm256_xor_si256(q, mask), mask); }
inline std::uint32_t eight_signs(std::uint32_t seven) {  // see block_scalar.inl.h
  return seven | (static_cast<std::uint32_t>(__builtin_popcount(seven)) & 1u) << 7;
}
// Eight codes of two bits, or of three, one per byte.
inline long long spread2(std::uint64_t codes) { return static_cast<long long>(_pdep_u64(codes, 0x0303030303030303)); }
inline long long spread3(std::uint64_t codes) { return static_cast<long long>(_pdep_u64(codes, 0x0707070707070707)); }
inline __m256i look_up(const signed char (&table)[16], __m256i index) {
  __m128i t;
  __builtin_memcpy(&t, table, 16);
  return _mm256_shuffle_epi8(both(t, t), index);
}

// 16 or 32 signed bytes times `scale`, and plus `offset`, as weights i ...
template <class Sink>
inline void give16(Sink& sink, std::size_t i, __m128i q, float scale) {
  sink(i, mul(from_i8(q), set1(scale)));
  if constexpr (kLanes == 8) sink(i + 8, mul(from_i8(_mm_srli_si128(q, 8)), set1(scale)));
}
template <class Sink>
inline void give16(Sink& sink, std::size_t i, __m128i q, float scale, float offset) {
  sink(i, fma(from_i8(q), set1(scale), set1(offset)));
  if constexpr (kLanes == 8) sink(i + 8, fma(from_i8(_mm_srli_si128(q, 8)), set1(scale), set1(offset)));
}
template <class Sink, class... Factors>
inline void give32(Sink& sink, std::size_t i, __m256i q, Factors... factors) {
  give16(sink, i, _mm256_castsi256_si128(q), factors...);
  give16(sink, i + 16, _mm256_extracti128_si256(q, 1), factors...);
}

// Columns [begin, end) of a row, whole blocks, to f32.
template <class Stored>
inline void decode_columns(float* y, const unsigned char* row, std::size_t begin, std::size_t end) {
  const unsigned char* block = row + begin / Stored::kElements * Stored::kBytes;
  for (std::size_t k = begin; k < end; k += Stored::kElements, block += Stored::kBytes) {
    float* out = y + (k - begin);
    auto sink = [out](std::size_t i, Vec w) { store(out + i, w); };
    Stored::decode(block, sink);
  }
}

// Few tokens: a block is decoded in registers; eight rows share the activations in L1.
template <class Stored, int T>
inline void direct_block_rows(float* y, std::size_t y_stride, const float* x, std::size_t x_stride,
                              const WeightMatrix& w, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  constexpr std::size_t kRows = 8;
  const auto* data = static_cast<const unsigned char*>(w.data);
  for (std::size_t row = row_begin; row < row_end; row += kRows) {
    const std::size_t n_rows = row_end - row < kRows ? row_end - row : kRows;
    Vec acc[kRows][T];
    for (std::size_t r = 0; r < kRows; ++r)
      for (int t = 0; t < T; ++t) acc[r][t] = zero();
    for (std::size_t k_begin = 0; k_begin < n_in; k_begin += kPanelColumns) {
      const std::size_t k_end = n_in - k_begin < kPanelColumns ? n_in : k_begin + kPanelColumns;
      for (std::size_t r = 0; r < n_rows; ++r) {
        const unsigned char* block =
            data + (row + r) * w.row_stride_bytes + k_begin / Stored::kElements * Stored::kBytes;
        Vec sums[T];
        PONDER_UNROLL
        for (int t = 0; t < T; ++t) sums[t] = acc[r][t];
        for (std::size_t k = k_begin; k < k_end; k += Stored::kElements, block += Stored::kBytes) {
          auto sink = [&](std::size_t i, Vec weights) {
            PONDER_UNROLL
            for (int t = 0; t < T; ++t)
              sums[t] = fma(load(x + static_cast<std::size_t>(t) * x_stride + k + i), weights, sums[t]);
          };
          Stored::decode(block, sink);
        }
        PONDER_UNROLL
        for (int t = 0; t < T; ++t) acc[r][t] = sums[t];
      }
    }
    for (int t = 0; t < T; ++t)
      for (std::size_t r = 0; r < n_rows; ++r)
        y[static_cast<std::size_t>(t) * y_stride + row + r] = sum_lanes(acc[r][t]);
  }
}

// More: a panel of rows is decoded once per kTokenBlock tokens, as in panel_rows.
template <class Stored>
inline void panel_block_rows(float* y, std::size_t y_stride, const float* x, std::size_t x_stride,
                             const WeightMatrix& w, std::size_t n_tokens, std::size_t row_begin, std::size_t n_rows,
                             std::size_t n_in) {
  alignas(64) float panel[kPanelRows * kPanelPitch];
  Vec acc[kTokenBlock * kPanelRows];
  for (Vec& a : acc) a = zero();
  const float* no_scales[kPanelRows] = {};
  for (std::size_t k = 0; k < n_in; k += kPanelColumns) {
    const std::size_t end = n_in - k < kPanelColumns ? n_in : k + kPanelColumns;
    for (std::size_t r = 0; r < kPanelRows; ++r) {  // rows past the end repeat the last one; their sums are not stored
      const std::size_t row = row_begin + (r < n_rows ? r : n_rows - 1);
      decode_columns<Stored>(panel + r * kPanelPitch,
                             static_cast<const unsigned char*>(w.data) + row * w.row_stride_bytes, k, end);
    }
    std::size_t t = 0;
    for (; t + kTileTokens <= n_tokens; t += kTileTokens)
      panel_tokens<false, kTileTokens>(acc + t * kPanelRows, x + t * x_stride + k, x_stride, panel, no_scales, k, end);
    for (; t + 2 <= n_tokens; t += 2)
      panel_tokens<false, 2>(acc + t * kPanelRows, x + t * x_stride + k, x_stride, panel, no_scales, k, end);
    if (t < n_tokens)
      panel_tokens<false, 1>(acc + t * kPanelRows, x + t * x_stride + k, x_stride, panel, no_scales, k, end);
  }
  for (std::size_t t = 0; t < n_tokens; ++t)
    for (std::size_t r = 0; r < n_rows; ++r) y[t * y_stride + row_begin + r] = sum_lanes(acc[t * kPanelRows + r]);
}

template <class Stored>
inline void matmul_blocks(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix& w,
                          std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  switch (n_tokens) {
    case 0: return;
    case 1: return direct_block_rows<Stored, 1>(y, y_stride, x, x_stride, w, row_begin, row_end, n_in);
    case 2: return direct_block_rows<Stored, 2>(y, y_stride, x, x_stride, w, row_begin, row_end, n_in);
    case 3: return direct_block_rows<Stored, 3>(y, y_stride, x, x_stride, w, row_begin, row_end, n_in);
    default: break;
  }
  for (std::size_t t = 0; t < n_tokens; t += kTokenBlock) {
    const std::size_t count = n_tokens - t < kTokenBlock ? n_tokens - t : kTokenBlock;
    for (std::size_t row = row_begin; row < row_end; row += kPanelRows)
      panel_block_rows<Stored>(y + t * y_stride, y_stride, x + t * x_stride, x_stride, w, count, row,
                               row_end - row < kPanelRows ? row_end - row : kPanelRows, n_in);
  }
}

// Panels of kPanelRows rows, the blocks that the columns lie in, through vecmat_f32's tiles.
template <class Stored>
inline void vecmat_blocks(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix& w,
                          std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end,
                          int accumulate) {
  alignas(64) float panel[kPanelRows * kPanelPitch];
  const WeightMatrix decoded = {panel, kPanelPitch * sizeof(float), nullptr, 0, 0};
  for (std::size_t col = col_begin, end; col < col_end; col = end) {
    const std::size_t first = col / Stored::kElements * Stored::kElements;
    end = first + kPanelColumns < col_end ? first + kPanelColumns : col_end;
    const std::size_t last = (end + Stored::kElements - 1) / Stored::kElements * Stored::kElements;
    std::size_t row = 0;
    do {
      const std::size_t count = n_rows - row < kPanelRows ? n_rows - row : kPanelRows;
      for (std::size_t r = 0; r < count; ++r)
        decode_columns<Stored>(panel + r * kPanelPitch,
                               static_cast<const unsigned char*>(w.data) + (row + r) * w.row_stride_bytes, first, last);
      vecmat_simd<StoredF32>(y + first, y_stride, x + row, x_stride, decoded, n_tokens, count, col - first, end - first,
                             row > 0 || accumulate ? 1 : 0);
      row += count;
    } while (row < n_rows);
  }
}

template <class Stored>
inline void blocks_to_f32_simd(float* y, const void* x, std::size_t n) {
  decode_columns<Stored>(y, static_cast<const unsigned char*>(x), 0, n);
}

}  // namespace
}  // namespace ponder::kernels
