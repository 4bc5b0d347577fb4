#include "lib/ops/weight_rows.h"

#include <atomic>
#include <cmath>
#include <cstring>

#include "lib/base/format.h"
#include "lib/ops/ops.h"

namespace ponder::core::ops {
namespace {

constexpr float kMostWeight = 65504;  // the largest f16

kernels::QuantizeFn* quantizer(const kernels::Quantizers& q, DType type) {
  switch (type) {
    case DType::q4_0: return q.q4_0;
    case DType::q4_1: return q.q4_1;
    case DType::q5_0: return q.q5_0;
    case DType::q5_1: return q.q5_1;
    case DType::q8_0: return q.q8_0;
    case DType::q2_k: return q.q2_k;
    case DType::q3_k: return q.q3_k;
    case DType::q4_k: return q.q4_k;
    case DType::q5_k: return q.q5_k;
    case DType::q6_k: return q.q6_k;
    case DType::iq4_nl: return q.iq4_nl;
    case DType::iq4_xs: return q.iq4_xs;
    default: return nullptr;
  }
}

bool is_plain(DType type) { return type == DType::f32 || type == DType::f16 || type == DType::bf16; }

// NaN is none of them.
bool all_within(std::span<const float> x, float most) {
  bool within = true;
  for (const float v : x) within &= std::fabs(v) <= most;
  return within;
}

}  // namespace

bool can_quantize(DType type) { return is_plain(type) || quantizer(kernels::quantizers_ref, type) != nullptr; }

Status quantize(const Context& ctx, std::string_view what, DType type, std::byte* y, const Tensor& x,
                const float* importance, std::size_t first_row) {
  kernels::QuantizeFn* fn = quantizer(*ctx.kernels->quantize, type);
  if (!fn && !is_plain(type))
    return fail(Code::unsupported, "{}: {} cannot be written", what, dtype_name(type));
  if (x.n_cols % block_elements(type) != 0)
    return fail(Code::invalid_argument, "{}: rows of {}, {} wants a multiple of {}", what, x.n_cols, dtype_name(type),
                block_elements(type));
  const float most = type == DType::f32 || type == DType::bf16 ? 3.3e38f : kMostWeight;
  const std::size_t stride = row_bytes(type, x.n_cols);
  std::atomic<std::size_t> bad{x.n_rows};  // the first such row
  for_rows(ctx, x.n_rows, 64 * x.n_cols, [&](std::size_t first, std::size_t count) {
    for (std::size_t i = first; i < first + count; ++i) {
      const float* row = x.row(i);
      std::byte* out = y + i * stride;
      if (!all_within(x.row_span(i), most)) {
        std::size_t known = bad.load(std::memory_order_relaxed);
        while (i < known && !bad.compare_exchange_weak(known, i, std::memory_order_relaxed)) {
        }
        continue;
      }
      if (fn) fn(out, row, x.n_cols, importance);
      else if (type == DType::bf16) ctx.kernels->f32_to_bf16(out, row, x.n_cols);
      else if (type == DType::f16) ctx.kernels->f32_to_f16(out, row, x.n_cols);
      else std::memcpy(out, row, stride);
    }
  });
  const std::size_t row = bad.load(std::memory_order_relaxed);
  if (row == x.n_rows) return {};
  std::size_t col = 0;
  while (std::fabs(x.row(row)[col]) <= most) ++col;
  return fail(Code::numeric, "{}: row {}, column {} is {}, wanted at most {} in magnitude", what,
              first_row + row, col, x.row(row)[col], most);
}

void dequantize(const Context& ctx, const Tensor& y, const Weight& w, std::size_t first) {
  for_rows(ctx, y.n_rows, y.n_cols, [&](std::size_t begin, std::size_t count) {
    for (std::size_t i = begin; i < begin + count; ++i) {
      const auto id = static_cast<std::int32_t>(first + i);
      embed(ctx, y.rows(i, 1), w, {&id, 1});
    }
  });
}

}  // namespace ponder::core::ops
