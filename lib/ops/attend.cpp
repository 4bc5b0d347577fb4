#include "lib/ops/attend.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "lib/ops/ops.h"

namespace ponder::core::ops {

void attend_begin(const AttendTile& tile) {
  for (std::size_t row = 0; row < tile.n_tokens * tile.n_heads; ++row) {
    std::memset(tile.out.row(row), 0, tile.out.n_cols * sizeof(float));
    tile.running_max[row] = -std::numeric_limits<float>::infinity();
    tile.sum[row] = 0;
  }
}

void attend_block(const Context& ctx, const AttendTile& tile, std::size_t first_key, std::size_t n_keys, const KvRows& keys,
                  const KvRows& values) {
  if (first_key >= tile.end_position()) return;
  n_keys = std::min(n_keys, tile.end_position() - first_key);
  // Tokens before `first_token` see none of these keys, tokens from `first_full` on all of them.
  const auto tokens_below = [&](std::size_t position) {
    return position <= tile.first_position ? 0 : std::min(position - tile.first_position, tile.n_tokens);
  };
  const std::size_t first_token = tokens_below(first_key), first_full = tokens_below(first_key + n_keys - 1);
  const std::size_t first_row = first_token * tile.n_heads, n_rows = tile.n_tokens * tile.n_heads - first_row;
  const Tensor scores = tile.scores.rows(first_row, n_rows).cols(0, n_keys);
  kv_matmul_serial(ctx, scores, tile.queries.rows(first_row, n_rows),
                   kv_rows(keys.type, keys.data, n_keys, tile.queries.n_cols), keys.row_stride_bytes);
  const auto keys_of = [&](std::size_t token) {
    return std::min(n_keys, tile.first_position + token + 1 - first_key);
  };
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

}  // namespace ponder::core::ops
