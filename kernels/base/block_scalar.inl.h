// The definition of to_f32, matmul and vecmat for the GGUF block types: a Block says how its weights are read,
//   static constexpr std::size_t kElements, kBytes;  static void decode(float* y, const unsigned char* block);
// Every product of scale and code is exact in f32, so a weight is rounded once at most and every order of the factors
// gives the same bits.
#pragma once

#include "kernels/base/convert_scalar.inl.h"
#include "kernels/base/matrix.h"

namespace ponder::kernels {
namespace {

[[maybe_unused]] inline std::uint32_t u16_at(const unsigned char* p) {
  return static_cast<std::uint32_t>(p[0] | p[1] << 8);
}
[[maybe_unused]] inline std::uint32_t u32_at(const unsigned char* p) { return u16_at(p) | u16_at(p + 2) << 16; }
[[maybe_unused]] inline float half_at(const unsigned char* p) {
  return scalar_f16(static_cast<std::uint16_t>(u16_at(p)));
}
[[maybe_unused]] inline int signed_at(const unsigned char* p) { return *p < 128 ? *p : *p - 256; }

// The eighth sign of the IQ2 and IQ3 types is the parity of the other seven (ggml's ksigns_iq2xs).
[[maybe_unused]] inline unsigned eight_signs(unsigned seven) {
  unsigned parity = seven ^ seven >> 4;
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return seven | (parity & 1u) << 7;
}

template <class Block>
[[maybe_unused]] void blocks_to_f32(float* y, const void* x, std::size_t n) {
  const auto* block = static_cast<const unsigned char*>(x);
  for (std::size_t i = 0; i < n; i += Block::kElements, block += Block::kBytes) Block::decode(y + i, block);
}

template <class Block>
[[maybe_unused]] void matmul_blocks_reference(float* y, std::size_t y_stride, const float* x, std::size_t x_stride,
                                              const WeightMatrix& w, std::size_t n_tokens, std::size_t row_begin,
                                              std::size_t row_end, std::size_t n_in) {
  const auto* data = static_cast<const unsigned char*>(w.data);
  float weights[Block::kElements];
  for (std::size_t t = 0; t < n_tokens; ++t)
    for (std::size_t n = row_begin; n < row_end; ++n) {
      double sum = 0;
      for (std::size_t k = 0; k < n_in; k += Block::kElements) {
        Block::decode(weights, data + n * w.row_stride_bytes + k / Block::kElements * Block::kBytes);
        for (std::size_t i = 0; i < Block::kElements; ++i) sum += double{x[t * x_stride + k + i]} * double{weights[i]};
      }
      y[t * y_stride + n] = static_cast<float>(sum);
    }
}

template <class Block>
[[maybe_unused]] void vecmat_blocks_reference(float* y, std::size_t y_stride, const float* x, std::size_t x_stride,
                                              const WeightMatrix& w, std::size_t n_tokens, std::size_t n_rows,
                                              std::size_t col_begin, std::size_t col_end, int accumulate) {
  const auto* data = static_cast<const unsigned char*>(w.data);
  float weights[Block::kElements];
  double sums[Block::kElements];
  for (std::size_t t = 0; t < n_tokens; ++t)
    for (std::size_t col = col_begin, end; col < col_end; col = end) {
      const std::size_t block = col / Block::kElements, first = block * Block::kElements;
      end = first + Block::kElements < col_end ? first + Block::kElements : col_end;
      for (std::size_t k = col; k < end; ++k) sums[k - first] = accumulate ? double{y[t * y_stride + k]} : 0.0;
      for (std::size_t n = 0; n < n_rows; ++n) {
        Block::decode(weights, data + n * w.row_stride_bytes + block * Block::kBytes);
        for (std::size_t k = col; k < end; ++k)
          sums[k - first] += double{x[t * x_stride + n]} * double{weights[k - first]};
      }
      for (std::size_t k = col; k < end; ++k) y[t * y_stride + k] = static_cast<float>(sums[k - first]);
    }
}

}  // namespace
}  // namespace ponder::kernels
