// Grouped-query attention of the dense families. A cache row is [K of all kv heads | V of all kv heads].
#include <cstring>

#include "lib/model/attention_tasks.h"
#include "lib/model/decoder_layer.h"
#include "lib/ops/ops.h"

namespace ponder::core {

void attention_gqa(const Context& ctx, const Config& config, const Rope& rope, const AttentionWeights& w,
                   const Rows& rows, std::size_t kv_layer, Scratch& s) {
  const std::size_t n = rows.n_rows;
  const auto heads = static_cast<std::size_t>(config.num_attention_heads);
  const auto kv_heads = static_cast<std::size_t>(config.num_key_value_heads);
  const auto dim = static_cast<std::size_t>(config.head_dim);
  const std::size_t kv_width = kv_heads * dim;
  const Tensor x = s.normed.rows(0, n), q = s.q.rows(0, n), kv = s.kv.rows(0, n), out = s.attn_heads.rows(0, n);

  ops::Product projections[] = {{q, x, &w.q_proj, nullptr, w.q_proj_bias},
                                {kv.cols(0, kv_width), x, &w.k_proj, nullptr, w.k_proj_bias},
                                {kv.cols(kv_width, kv_width), x, &w.v_proj, nullptr, w.v_proj_bias}};
  ops::matmul_all(ctx, projections);
  const auto rotate = config.rope_interleave ? ctx.kernels->rope_interleaved : ctx.kernels->rope_half;
  ops::for_rows(ctx, n, (heads + 3 * kv_heads) * dim, [&](std::size_t first, std::size_t count) {
    for (std::size_t t = first; t < first + count; ++t) {
      const KvCache& cache = *rows.sequences[static_cast<std::size_t>(s.sequence_of[t])].kv;
      rotate(q.row(t), dim, s.cos.row(t), s.sin.row(t), heads, dim);
      rotate(kv.row(t), dim, s.cos.row(t), s.sin.row(t), kv_heads, dim);
      ops::kv_store(ctx, cache.layout().type, cache.row(kv_layer, s.positions[t]), kv.row(t), 2 * kv_width);
    }
  });

  for_attention_tasks(ctx, rows, heads, heads / kv_heads, s, [&](const AttentionTask& task, float* floats) {
    const KvCache& cache = *task.sequence->kv;
    const DType type = cache.layout().type;
    const std::size_t row_bytes = cache.layout().row_bytes(), kv_head = task.first_head / (heads / kv_heads);
    ops::AttendTile tile = take_tile(floats, task.n_tokens, task.n_heads, {}, {}, dim, dim);
    tile.first_position = s.positions[task.first_row];
    tile.scale = static_cast<float>(rope.attention_scale);
    for (std::size_t row = 0; row < tile.queries.n_rows; ++row)
      std::memcpy(tile.queries.row(row), q.row(task.first_row + row / task.n_heads) + (task.first_head + row % task.n_heads) * dim,
                  dim * sizeof(float));
    ops::attend_begin(tile);
    for (std::size_t block = 0; block * KvCache::kBlockTokens < tile.end_position(); ++block) {
      const std::byte* data = cache.block_rows(block, kv_layer) + core::row_bytes(type, kv_head * dim);
      ops::attend_block(ctx, tile, block * KvCache::kBlockTokens, KvCache::kBlockTokens, {type, data, row_bytes},
                        {type, data + core::row_bytes(type, kv_width), row_bytes});
    }
    ops::attend_end(tile);
    for (std::size_t row = 0; row < tile.out.n_rows; ++row)
      std::memcpy(out.row(task.first_row + row / task.n_heads) + (task.first_head + row % task.n_heads) * dim, tile.out.row(row),
                  dim * sizeof(float));
  });
  ops::matmul(ctx, s.block_out.rows(0, n), out, w.o_proj, w.o_proj_bias);
}

}  // namespace ponder::core
