// Rows of the KV cache: how they lie in memory, how they are written and read. One thread.
#pragma once

#include "lib/base/tensor.h"
#include "lib/ops/context.h"

namespace ponder::core::ops {

// One token's values in one layer. f32, f16, bf16: as they are. q8_0: blocks of 32 int8 with an f16 scale. f8_e4m3 (latent
// caches): [e4m3 x latent | f32 scale of every 128 of them | bf16 x rest], as the rotated keys suffer most from rounding.
struct KvFormat {
  static constexpr std::size_t kScaled = 128;  // latent values of one scale

  DType type = DType::f32;
  std::size_t elements = 0;
  std::size_t latent = 0;  // the first `latent` elements are a latent; 0: there is none

  std::size_t n_scales() const { return (latent + kScaled - 1) / kScaled; }
  std::size_t row_bytes() const {
    if (type != DType::f8_e4m3) return core::row_bytes(type, elements);
    return latent + n_scales() * sizeof(float) + core::row_bytes(DType::bf16, elements - latent);
  }
  // Byte at which element `first` starts, and at `elements` the end: for what lies between two of them.
  std::size_t offset(std::size_t first) const {
    if (type != DType::f8_e4m3) return core::row_bytes(type, first);
    return first < latent ? first : row_bytes() - core::row_bytes(DType::bf16, elements - first);
  }
  // Elements lie one after another, so that kernels read them in place.
  bool plain() const { return type == DType::f32 || type == DType::f16 || type == DType::bf16; }
};

void kv_store(const Context& ctx, const KvFormat& format, std::byte* row, const float* values);
// values [count] = elements [first, first + count) of a row; both at block borders in q8_0.
void kv_load(const Context& ctx, const KvFormat& format, float* values, const std::byte* row, std::size_t first, std::size_t count);

// Rows of a plain type: row i is at data + i * row_stride_bytes.
struct KvRows {
  DType type = DType::f32;
  const std::byte* data = nullptr;
  std::size_t row_stride_bytes = 0;
};

// Elements [first, first + count) of n_rows rows for attend_block of tiles with n_queries rows (attend.h): in place where
// that is best, else converted to `buffer`, [n_rows, count rounded up to 16] floats.
KvRows kv_rows_for(const Context& ctx, const KvFormat& format, const std::byte* rows, std::size_t n_rows, std::size_t first,
                   std::size_t count, std::size_t n_queries, float* buffer);

}  // namespace ponder::core::ops
