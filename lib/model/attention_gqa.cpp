// Grouped-query attention of the dense families. A cache row is [K of all kv heads | V of all kv heads].
#include <cstring>

#include "lib/model/attention_split.h"
#include "lib/model/decoder_layer.h"
#include "lib/ops/ops.h"

namespace ponder::core {

void attention_gqa(const Context& ctx, const Config& config, const Rope& rope, const AttentionWeights& w,
                   const Rows& rows, std::size_t kv_layer, Scratch& s) {
  const std::size_t n = rows.n_rows;
  const auto heads = static_cast<std::size_t>(config.num_attention_heads);
  const auto kv_heads = static_cast<std::size_t>(config.num_key_value_heads);
  const auto dim = static_cast<std::size_t>(config.head_dim);
  const std::size_t kv_width = kv_heads * dim, group = heads / kv_heads;
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
      ops::kv_store(ctx, cache.layout().format(), cache.row(kv_layer, s.positions[t]), kv.row(t));
    }
  });

  // Heads of one key head, keys of blocks [first_block, end_block); the lane's rest holds converted keys and values.
  const auto attend = [&](const AttentionTask& task, ops::AttendTile& tile, std::size_t first_block, std::size_t end_block,
                          float* rest) {
    const std::size_t kv_head = task.first_head / group;
    tile.first_position = s.positions[task.first_row];
    tile.scale = static_cast<float>(rope.attention_scale);
    for (std::size_t row = 0; row < tile.queries.n_rows; ++row)
      std::memcpy(tile.queries.row(row), q.row(task.first_row + row / task.n_heads) + (task.first_head + row % task.n_heads) * dim,
                  dim * sizeof(float));
    ops::attend_begin(ctx, tile);
    attend_blocks(ctx, tile, *task.sequence->kv, kv_layer, first_block, end_block, kv_head * dim, kv_width + kv_head * dim, rest);
  };
  const auto put_out = [&](const AttentionTask& task, const Tensor& from) {
    for (std::size_t row = 0; row < task.n_tokens * task.n_heads; ++row)
      std::memcpy(out.row(task.first_row + row / task.n_heads) + (task.first_head + row % task.n_heads) * dim, from.row(row),
                  dim * sizeof(float));
  };
  const auto attend_all = [&](const AttentionTask& task, float* floats) {
    ops::AttendTile tile = take_tile(floats, task.n_tokens, task.n_heads, {}, {}, dim, dim);
    attend(task, tile, 0, task.sequence->kv->n_blocks(), floats);
    ops::attend_end(tile);
    put_out(task, tile.out);
  };
  if (ctx.compute == Compute::exact) {
    for_attention_tasks(ctx, rows, heads, group, s, attend_all);
    return ops::matmul(ctx, s.block_out.rows(0, n), out, w.o_proj, w.o_proj_bias);
  }

  const auto shape = [&](const SequenceRows& sequence) {
    if (sequence.n_rows * heads <= s.unit_rows) return UnitShape{sequence.n_rows, heads};
    return UnitShape{std::min(sequence.n_rows, std::max<std::size_t>(1, s.unit_rows / group)), group};
  };
  const AttentionSplit split(rows, s, heads, 2 * dim, shape);
  // body(task, first row) for every key head of a unit; the rows of one lie together.
  const auto for_key_heads = [&](const AttentionTask& unit, auto&& body) {
    for (std::size_t head = 0; head < unit.n_heads; head += group)
      body(AttentionTask{unit.sequence, unit.first_row, unit.n_tokens, unit.first_head + head, group}, head * unit.n_tokens);
  };
  ops::for_tasks_in_lanes(ctx, split.n_parts(), s.attention_lanes.n_rows, [&](std::size_t index, std::size_t lane) {
    const AttentionSplit::Part part = split.part(index);
    for_key_heads(part.task, [&](const AttentionTask& task, std::size_t row) {
      float* floats = s.attention_lanes.row(lane);
      if (!part.is_split) return attend_all(task, floats);
      const std::size_t at = (part.slot + part.part) * s.unit_rows + row;
      ops::AttendTile tile = take_tile(floats, task.n_tokens, task.n_heads, {}, s.split_out.rows(at, task.n_tokens * group), dim, dim);
      tile.running_max = s.split_max + at, tile.sum = s.split_sum + at;
      attend(task, tile, part.first_block, part.end_block, floats);
    });
  });
  ctx.pool->parallel_for(
      split.n_split_units(),
      [&](std::size_t index) {
        const AttentionSplit::Part unit = split.split_unit(index);
        const std::size_t first = unit.slot * s.unit_rows;
        for (std::size_t at = first; at < first + unit.task.n_tokens * unit.task.n_heads; ++at)
          ops::attend_merge(ctx, s.split_out.row(at), dim, s.unit_rows * dim, s.split_max + at, s.split_sum + at, s.unit_rows,
                            unit.n_parts);
        for_key_heads(unit.task, [&](const AttentionTask& task, std::size_t row) {
          put_out(task, s.split_out.rows(first + row, task.n_tokens * group));
        });
      },
      ctx.max_threads);
  ops::matmul(ctx, s.block_out.rows(0, n), out, w.o_proj, w.o_proj_bias);
}

}  // namespace ponder::core
