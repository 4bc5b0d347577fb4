#include "lib/ops/attend.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "lib/ops/ops.h"

namespace ponder::core::ops {

namespace {

// Fast compute: queries times scale, in bf16 where the kernel wants pairs of them.
void prepare_queries(const Context& ctx, const AttendTile& tile) {
  constexpr std::size_t kPart = 256;
  std::byte part[2 * kPart];
  for (std::size_t row = 0; row < tile.n_tokens * tile.n_heads; ++row) {
    float* query = tile.queries.row(row);
    for (std::size_t i = 0; i < tile.queries.n_cols; ++i) query[i] *= tile.scale;
    for (std::size_t k = 0; ctx.kernels->attend_bf16_dots && k < tile.queries.n_cols; k += kPart) {
      const std::size_t n = std::min(kPart, tile.queries.n_cols - k);
      ctx.kernels->f32_to_bf16(part, query + k, n);
      std::memcpy(reinterpret_cast<std::byte*>(query) + 2 * k, part, 2 * n);
    }
  }
}

kernels::AttendFn* attend_kernel(const Context& ctx, DType type) {
  if (ctx.kernels->attend_bf16_dots) return ctx.kernels->attend_bf16_dots;
  return type == DType::f16 ? ctx.kernels->attend_f16 : type == DType::bf16 ? ctx.kernels->attend_bf16 : ctx.kernels->attend_f32;
}

// Tokens [token, token + n_tokens), all of which see n_keys keys of the block.
void attend_rows(const Context& ctx, const AttendTile& tile, std::size_t token, std::size_t n_tokens, std::size_t n_keys,
                 const KvRows& keys, const KvRows& values, const NextRows& next) {
  if (n_tokens == 0) return;
  const std::size_t row = token * tile.n_heads;
  kernels::AttendBlock b{};
  b.queries = tile.queries.row(row), b.query_stride_bytes = tile.queries.stride * sizeof(float), b.key_dims = tile.queries.n_cols;
  b.keys = keys.data, b.key_stride_bytes = keys.row_stride_bytes;
  b.values = values.data, b.value_stride_bytes = values.row_stride_bytes, b.value_dims = tile.out.n_cols;
  b.n_rows = n_tokens * tile.n_heads, b.n_keys = n_keys;
  b.out = tile.out.row(row), b.out_stride = tile.out.stride;
  b.running_max = tile.running_max + row, b.sum = tile.sum + row;
  b.next[0] = next.keys, b.next_bytes[0] = next.key_bytes, b.next[1] = next.values, b.next_bytes[1] = next.value_bytes;
  b.next_stride_bytes = next.row_stride_bytes, b.next_rows = next.n_rows;
  attend_kernel(ctx, keys.type)(b);
}

}  // namespace

void attend_begin(const Context& ctx, const AttendTile& tile) {
  for (std::size_t row = 0; row < tile.n_tokens * tile.n_heads; ++row) {
    std::memset(tile.out.row(row), 0, tile.out.n_cols * sizeof(float));
    tile.running_max[row] = -std::numeric_limits<float>::infinity();
    tile.sum[row] = 0;
  }
  if (ctx.compute == Compute::fast) prepare_queries(ctx, tile);
}

void attend_block(const Context& ctx, const AttendTile& tile, std::size_t first_key, std::size_t n_keys, const KvRows& keys,
                  const KvRows& values, const NextRows& next) {
  if (first_key >= tile.end_position()) return;
  n_keys = std::min(n_keys, tile.end_position() - first_key);
  // Tokens before `first_token` see none of these keys, tokens from `first_full` on all of them.
  const auto tokens_below = [&](std::size_t position) {
    return position <= tile.first_position ? 0 : std::min(position - tile.first_position, tile.n_tokens);
  };
  const std::size_t first_token = tokens_below(first_key), first_full = tokens_below(first_key + n_keys - 1);
  const auto keys_of = [&](std::size_t token) {
    return std::min(n_keys, tile.first_position + token + 1 - first_key);
  };
  if (ctx.compute == Compute::fast) {
    for (std::size_t token = first_token; token < first_full; ++token)
      attend_rows(ctx, tile, token, 1, keys_of(token), keys, values, {});
    const std::size_t full = std::max(first_token, first_full);
    return attend_rows(ctx, tile, full, tile.n_tokens - full, n_keys, keys, values, next);
  }
  const std::size_t first_row = first_token * tile.n_heads, n_rows = tile.n_tokens * tile.n_heads - first_row;
  const Tensor scores = tile.scores.rows(first_row, n_rows).cols(0, n_keys);
  kv_matmul_serial(ctx, scores, tile.queries.rows(first_row, n_rows),
                   kv_rows(keys.type, keys.data, n_keys, tile.queries.n_cols), keys.row_stride_bytes);
  for (std::size_t token = first_token; token < tile.n_tokens; ++token)
    for (std::size_t row = token * tile.n_heads; row < (token + 1) * tile.n_heads; ++row) {
      float rescale = 1;
      const float block_sum = ctx.kernels->softmax_block(tile.scores.row(row), keys_of(token), tile.scale,
                                                         &tile.running_max[row], &rescale);
      tile.sum[row] = tile.sum[row] * rescale + block_sum;
      if (rescale != 1)
        for (std::size_t i = 0; i < tile.out.n_cols; ++i) tile.out.row(row)[i] *= rescale;
    }
  const auto add_values = [&](std::size_t token, std::size_t n_tokens) {
    const std::size_t row = token * tile.n_heads, count = n_tokens * tile.n_heads, n = keys_of(token);
    if (count > 0)
      kv_vecmat_serial(ctx, tile.out.rows(row, count), tile.scores.rows(row, count).cols(0, n),
                       kv_rows(values.type, values.data, n, tile.out.n_cols), values.row_stride_bytes, true);
  };
  for (std::size_t token = first_token; token < first_full; ++token) add_values(token, 1);
  add_values(std::max(first_token, first_full), tile.n_tokens - std::max(first_token, first_full));
}

void attend_end(const AttendTile& tile) {
  for (std::size_t row = 0; row < tile.n_tokens * tile.n_heads; ++row)
    for (std::size_t i = 0; i < tile.out.n_cols; ++i) tile.out.row(row)[i] /= tile.sum[row];
}

void attend_merge(const Context& ctx, float* out, std::size_t n_cols, std::size_t stride, const float* running_max,
                  const float* sum, std::size_t stat_stride, std::size_t n_parts) {
  float largest = running_max[0];
  for (std::size_t p = 1; p < n_parts; ++p) largest = std::max(largest, running_max[p * stat_stride]);
  if (largest == -std::numeric_limits<float>::infinity()) largest = 0;  // nothing but NaN, which must show
  float total = 0;
  for (std::size_t p = 0; p < n_parts; ++p) {
    const float factor = std::exp(running_max[p * stat_stride] - largest);
    total += factor * sum[p * stat_stride];
    if (p > 0) ctx.kernels->scale_add(out, out + p * stride, factor, n_cols);
    else for (std::size_t i = 0; i < n_cols; ++i) out[i] *= factor;
  }
  for (std::size_t i = 0; i < n_cols; ++i) out[i] /= total;
}

}  // namespace ponder::core::ops
