#include "lib/ops/kv_rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace ponder::core::ops {

namespace {

constexpr float kLargestFp8 = 448;
// Up to this many query rows, converting in registers beats converting once to memory (kernels/attend_rows, one tile of rows).
constexpr std::size_t kRowsInPlace = 8;

std::byte* scales_of(const KvFormat& format, std::byte* row) { return row + format.latent; }
std::byte* rest_of(const KvFormat& format, std::byte* row) { return row + format.latent + format.n_scales() * sizeof(float); }

// q8_0 blocks from their largest element: no search for a better scale, as quantize.h does, and what is not finite shows.
void store_q8_0(std::byte* row, const float* values, std::size_t n) {
  constexpr std::size_t kBlock = block_elements(DType::q8_0);
  for (std::size_t first = 0; first < n; first += kBlock, row += block_bytes(DType::q8_0), values += kBlock) {
    float largest = 0;
    bool finite = true;
    for (std::size_t k = 0; k < kBlock; ++k) {
      largest = std::max(largest, std::abs(values[k]));
      finite &= std::isfinite(values[k]);
    }
    const std::uint16_t scale = f32_to_f16(finite ? largest / 127 : std::numeric_limits<float>::quiet_NaN());
    const float d = f16_to_f32(scale), inverse = d > 0 ? 1 / d : 0;  // NaN: 0
    std::memcpy(row, &scale, sizeof scale);
    for (std::size_t k = 0; k < kBlock; ++k) {
      const float steps = finite ? std::clamp(values[k] * inverse, -127.0f, 127.0f) : 1.0f;
      row[sizeof scale + k] = static_cast<std::byte>(static_cast<std::int8_t>(steps + (steps < 0 ? -0.5f : 0.5f)));
    }
  }
}

void store_latent(const Context& ctx, const KvFormat& format, std::byte* row, const float* values) {
  for (std::size_t i = 0; i < format.n_scales(); ++i) {
    const std::size_t first = i * KvFormat::kScaled, end = std::min(first + KvFormat::kScaled, format.latent);
    float largest = 0;
    for (std::size_t k = first; k < end; ++k) largest = std::max(largest, std::abs(values[k]));
    // What is not finite must show: infinity / infinity is NaN, and NaN stays what it is. 
    const float scale = largest > 0 ? std::max(largest / kLargestFp8, 0x1p-126f) : 1.0f;
    for (std::size_t k = first; k < end; ++k) row[k] = static_cast<std::byte>(f32_to_f8_e4m3(values[k] / scale));
    std::memcpy(scales_of(format, row) + i * sizeof scale, &scale, sizeof scale);
  }
  ctx.kernels->f32_to_bf16(rest_of(format, row), values + format.latent, format.elements - format.latent);
}

void load_latent(const Context& ctx, const KvFormat& format, float* values, const std::byte* row, std::size_t first,
                 std::size_t count) {
  auto* bytes = const_cast<std::byte*>(row);
  const std::size_t end = first + count;
  for (std::size_t at = first; at < std::min(end, format.latent);) {
    const std::size_t part_end = std::min({(at / KvFormat::kScaled + 1) * KvFormat::kScaled, end, format.latent});
    float scale;
    std::memcpy(&scale, scales_of(format, bytes) + at / KvFormat::kScaled * sizeof scale, sizeof scale);
    float* out = values + (at - first);
    ctx.kernels->fp8_to_f32(out, row + at, part_end - at);
    for (std::size_t k = 0; k < part_end - at; ++k) out[k] *= scale;
    at = part_end;
  }
  if (end > format.latent) {
    const std::size_t at = std::max(first, format.latent);
    ctx.kernels->bf16_to_f32(values + (at - first), rest_of(format, bytes) + (at - format.latent) * 2, end - at);
  }
}

}  // namespace

void kv_store(const Context& ctx, const KvFormat& format, std::byte* row, const float* values) {
  switch (format.type) {
    case DType::f16: return ctx.kernels->f32_to_f16(row, values, format.elements);
    case DType::bf16: return ctx.kernels->f32_to_bf16(row, values, format.elements);
    case DType::q8_0: return store_q8_0(row, values, format.elements);
    case DType::f8_e4m3: return store_latent(ctx, format, row, values);
    default: std::memcpy(row, values, format.elements * sizeof(float));
  }
}

void kv_load(const Context& ctx, const KvFormat& format, float* values, const std::byte* row, std::size_t first, std::size_t count) {
  if (format.type == DType::f8_e4m3) return load_latent(ctx, format, values, row, first, count);
  const std::byte* at = row + core::row_bytes(format.type, first);
  switch (format.type) {
    case DType::f16: return ctx.kernels->f16_to_f32(values, at, count);
    case DType::bf16: return ctx.kernels->bf16_to_f32(values, at, count);
    case DType::q8_0: return ctx.kernels->q8_0.to_f32(values, at, count);
    default: std::memcpy(values, at, count * sizeof(float));
  }
}

KvRows kv_rows_for(const Context& ctx, const KvFormat& format, const std::byte* rows, std::size_t n_rows, std::size_t first,
                   std::size_t count, std::size_t n_queries, float* buffer) {
  const bool fast = ctx.compute == Compute::fast, dots = fast && ctx.kernels->attend_bf16_dots;
  const bool in_place = !fast ? format.plain()
                        : dots ? format.type == DType::bf16
                               : format.type == DType::f32 || (format.plain() && n_queries <= kRowsInPlace);
  const std::size_t row_bytes = format.row_bytes(), stride = (count + 15) / 16 * 16;
  if (in_place) return {format.type, rows + core::row_bytes(format.type, first), row_bytes};
  for (std::size_t i = 0; i < n_rows; ++i) {
    float* out = buffer + i * stride;
    kv_load(ctx, format, out, rows + i * row_bytes, first, count);
    if (dots) {  // in place, from the front: 2 bytes for every 4
      constexpr std::size_t kPart = 256;
      std::byte part[2 * kPart];
      for (std::size_t k = 0; k < count; k += kPart) {
        const std::size_t n = std::min(kPart, count - k);
        ctx.kernels->f32_to_bf16(part, out + k, n);
        std::memcpy(reinterpret_cast<std::byte*>(out) + 2 * k, part, 2 * n);
      }
    }
  }
  return {dots ? DType::bf16 : DType::f32, reinterpret_cast<const std::byte*>(buffer), stride * sizeof(float)};
}

}  // namespace ponder::core::ops
