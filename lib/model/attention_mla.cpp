// Multi-head latent attention (DeepSeek-V2 paper, section 2.1). The cache holds the normalised latent c and the rotated
// key part. Absorbed: each head's query is taken into the latent space, whole heads share the cache rows as they lie.
// Expanded: the keys and values of one head are made from the latent, block by block, for all queries of the pass.
#include <cstring>

#include "lib/model/attention_split.h"
#include "lib/model/decoder_layer.h"
#include "lib/ops/ops.h"

namespace ponder::core {

namespace {

constexpr double kLoraNormEps = 1e-6;  // fixed in the official code, not rms_norm_eps

struct MlaSizes {
  explicit MlaSizes(const Config& c)
      : heads(static_cast<std::size_t>(c.num_attention_heads)),
        nope(static_cast<std::size_t>(c.qk_nope_head_dim)),
        rope(static_cast<std::size_t>(c.qk_rope_head_dim)),
        rank(static_cast<std::size_t>(c.kv_lora_rank)),
        v(static_cast<std::size_t>(c.v_head_dim)) {}
  std::size_t heads, nope, rope, rank, v;
  std::size_t qk() const { return nope + rope; }
};

// BK[h] [nope, rank] and BV[h] [v, rank] of one head, from kv_b_proj or from its two parts.
struct HeadProjection {
  HeadProjection(const Context& ctx, const MlaSizes& d, const AttentionWeights& w, std::size_t head)
      : transposed(!w.k_b_proj.empty()),
        keys(transposed ? w.k_b_proj.rows(head * d.rank, d.rank) : w.kv_b_proj.rows(head * (d.nope + d.v), d.nope)),
        values(transposed ? w.v_b_proj.rows(head * d.v, d.v) : w.kv_b_proj.rows(head * (d.nope + d.v) + d.nope, d.v)),
        first_key(head * (d.nope + d.v)),
        first_value(first_key + d.nope) {
    if (ctx.low_ranks) low_rank = ctx.low_ranks->of(&w.kv_b_proj);
  }
  // latent [n, rank] = q [n, nope] BK[h]
  void queries_to_latent(const Context& ctx, const Tensor& latent, const Tensor& q) const {
    if (transposed) ops::matmul_serial(ctx, latent, q, keys);
    else ops::vecmat_serial(ctx, latent, q, keys, false);
    if (!low_rank.empty()) ops::low_rank_vecmat_serial(ctx, latent, q, low_rank, first_key);
  }
  // k [n, nope] = latent [n, rank] BK[h]^T
  void latent_to_keys(const Context& ctx, const Tensor& k, const Tensor& latent) const {
    if (transposed) ops::vecmat_serial(ctx, k, latent, keys, false);
    else ops::matmul_serial(ctx, k, latent, keys);
    if (!low_rank.empty()) ops::low_rank_matmul_serial(ctx, k, latent, low_rank, first_key);
  }
  // v [n, v] = latent [n, rank] BV[h]^T
  void latent_to_values(const Context& ctx, const Tensor& v, const Tensor& latent) const {
    ops::matmul_serial(ctx, v, latent, values);
    if (!low_rank.empty()) ops::low_rank_matmul_serial(ctx, v, latent, low_rank, first_value);
  }
  bool transposed;
  Weight keys, values;
  std::size_t first_key, first_value;  // rows of kv_b_proj
  std::span<const ops::LowRank> low_rank = {};
};

// The rows of head i of a tile whose rows are [token][n_heads].
Tensor rows_of_head(const Tensor& rows, const AttentionTask& task, std::size_t i, std::size_t n_cols) {
  return Tensor(rows.row(i), task.n_tokens, n_cols, rows.stride * task.n_heads);
}

// Head i of the task. qa = q_nope BK[h]; the rotated part goes behind it, as in a cache row.
void absorb_query(const Context& ctx, const MlaSizes& d, const AttentionWeights& w, const AttentionTask& task, std::size_t i,
                  const Tensor& queries, const Scratch& s) {
  const std::size_t head = task.first_head + i;
  const Tensor q = s.q.rows(task.first_row, task.n_tokens);
  HeadProjection(ctx, d, w, head).queries_to_latent(ctx, rows_of_head(queries, task, i, d.rank), q.cols(head * d.qk(), d.nope));
  for (std::size_t t = 0; t < task.n_tokens; ++t)
    std::memcpy(queries.row(t * task.n_heads + i) + d.rank, q.row(t) + head * d.qk() + d.nope, d.rope * sizeof(float));
}

// o = BV[h] oc
void project_out(const Context& ctx, const MlaSizes& d, const AttentionWeights& w, const AttentionTask& task, std::size_t i,
                 const Tensor& latent_out, const Scratch& s) {
  const std::size_t head = task.first_head + i;
  const Tensor out = s.attn_heads.rows(task.first_row, task.n_tokens);
  HeadProjection(ctx, d, w, head).latent_to_values(ctx, out.cols(head * d.v, d.v), rows_of_head(latent_out, task, i, d.rank));
}

void attend_absorbed(const Context& ctx, const MlaSizes& d, double scale, const AttentionWeights& w, const AttentionTask& task,
                     std::size_t kv_layer, float* floats, Scratch& s) {
  const KvCache& cache = *task.sequence->kv;
  ops::AttendTile tile = take_tile(floats, task.n_tokens, task.n_heads, {}, {}, d.rank + d.rope, d.rank);
  tile.first_position = s.positions[task.first_row];
  tile.scale = static_cast<float>(scale);
  for (std::size_t i = 0; i < task.n_heads; ++i) absorb_query(ctx, d, w, task, i, tile.queries, s);
  ops::attend_begin(ctx, tile);
  attend_blocks(ctx, tile, cache, kv_layer, 0, cache.n_blocks(), 0, 0, floats);
  ops::attend_end(tile);
  for (std::size_t i = 0; i < task.n_heads; ++i) project_out(ctx, d, w, task, i, tile.out, s);
}

// All rows of one sequence, one head. `floats` holds one block of keys and values at a time, whatever the context.
void attend_expanded(const Context& ctx, const MlaSizes& d, double scale, const AttentionWeights& w,
                     const SequenceRows& sequence, std::size_t head, std::size_t kv_layer, float* floats, Scratch& s) {
  const KvCache& cache = *sequence.kv;
  constexpr std::size_t kBlock = KvCache::kBlockTokens;
  const std::size_t first_position = s.positions[sequence.first_row];
  const HeadProjection projection(ctx, d, w, head);
  const auto take = [&](std::size_t rows, std::size_t cols) {
    const Tensor taken(floats, rows, cols, (cols + 15) / 16 * 16);
    floats += rows * taken.stride;
    return taken;
  };
  const Tensor keys = take(kBlock, d.qk()), values = take(kBlock, d.v), copy = take(kBlock, d.rank + d.rope);
  const Tensor scores = take(std::min(Scratch::kTileTokens, sequence.n_rows), kBlock);
  const Tensor running_max = take(1, sequence.n_rows), sum = take(1, sequence.n_rows);
  const auto for_tiles = [&](auto&& body) {
    for (std::size_t at = 0; at < sequence.n_rows; at += Scratch::kTileTokens) {
      ops::AttendTile tile;
      tile.n_tokens = std::min(Scratch::kTileTokens, sequence.n_rows - at);
      tile.n_heads = 1;
      tile.first_position = first_position + at;
      tile.queries = s.q.rows(sequence.first_row + at, tile.n_tokens).cols(head * d.qk(), d.qk());
      tile.scores = scores.rows(0, tile.n_tokens);
      tile.out = s.attn_heads.rows(sequence.first_row + at, tile.n_tokens).cols(head * d.v, d.v);
      tile.running_max = running_max.data + at;
      tile.sum = sum.data + at;
      tile.scale = static_cast<float>(scale);
      body(tile);
    }
  };
  const Tensor key_copy = take(kBlock, d.qk()), value_copy = take(kBlock, d.v);
  const auto rows_for = [&](const Tensor& t, std::size_t n_rows, const Tensor& buffer) {
    return ops::kv_rows_for(ctx, {DType::f32, t.stride}, reinterpret_cast<const std::byte*>(t.data), n_rows, 0, t.n_cols,
                            Scratch::kTileTokens, buffer.data);
  };
  for_tiles([&](const ops::AttendTile& tile) { ops::attend_begin(ctx, tile); });
  for (std::size_t first_key = 0; first_key < first_position + sequence.n_rows; first_key += kBlock) {
    const std::size_t n_keys = std::min(kBlock, first_position + sequence.n_rows - first_key);
    const std::byte* rows = cache.block_rows(first_key / kBlock, kv_layer);
    for (std::size_t i = 0; i < n_keys; ++i)
      ops::kv_load(ctx, cache.layout().format(), copy.row(i), rows + i * cache.layout().row_bytes(), 0, d.rank + d.rope);
    const Tensor latent = copy.rows(0, n_keys).cols(0, d.rank);
    projection.latent_to_keys(ctx, keys.rows(0, n_keys).cols(0, d.nope), latent);
    projection.latent_to_values(ctx, values.rows(0, n_keys), latent);
    for (std::size_t i = 0; i < n_keys; ++i)
      std::memcpy(keys.row(i) + d.nope, copy.row(i) + d.rank, d.rope * sizeof(float));
    const ops::KvRows key_rows = rows_for(keys, n_keys, key_copy), value_rows = rows_for(values, n_keys, value_copy);
    for_tiles([&](const ops::AttendTile& tile) { ops::attend_block(ctx, tile, first_key, n_keys, key_rows, value_rows); });
  }
  for_tiles([](const ops::AttendTile& tile) { ops::attend_end(tile); });
}

template <class Expands>
void attend_split(const Context& ctx, const MlaSizes& d, double scale, const AttentionWeights& w, const Rows& rows,
                  const Expands& expands, std::size_t kv_layer, Scratch& s) {
  const auto shape = [&](const SequenceRows& sequence) {
    if (expands(sequence)) return UnitShape{sequence.n_rows, 1, true};
    const std::size_t tokens = std::min(sequence.n_rows, s.unit_rows);
    return UnitShape{tokens, std::min(d.heads, s.unit_rows / tokens), false, true};
  };
  const AttentionSplit split(rows, s, d.heads, 2 * d.rank + d.rope, shape);
  const auto for_heads_of_split_units = [&](auto&& body) {
    ctx.pool->parallel_for(
        split.n_split_units() * s.unit_rows,
        [&](std::size_t index) {
          const AttentionSplit::Part unit = split.split_unit(index / s.unit_rows);
          if (index % s.unit_rows < unit.task.n_heads) body(unit, index % s.unit_rows);
        },
        ctx.max_threads);
  };
  const auto queries_of = [&](const AttentionSplit::Part& part) {
    return s.split_queries.rows(part.unit * s.unit_rows, part.task.n_tokens * part.task.n_heads);
  };
  for_heads_of_split_units([&](const AttentionSplit::Part& unit, std::size_t i) {
    absorb_query(ctx, d, w, unit.task, i, queries_of(unit), s);
  });
  ops::for_tasks_in_lanes(ctx, split.n_parts(), s.attention_lanes.n_rows, [&](std::size_t index, std::size_t lane) {
    const AttentionSplit::Part part = split.part(index);
    float* floats = s.attention_lanes.row(lane);
    if (expands(*part.task.sequence))
      return attend_expanded(ctx, d, scale, w, *part.task.sequence, part.task.first_head, kv_layer, floats, s);
    if (!part.is_split) return attend_absorbed(ctx, d, scale, w, part.task, kv_layer, floats, s);
    const Tensor queries = queries_of(part);
    const std::size_t at = (part.slot + part.part) * s.unit_rows;
    ops::AttendTile tile = take_tile(floats, part.task.n_tokens, part.task.n_heads, {}, s.split_out.rows(at, queries.n_rows),
                                     d.rank + d.rope, d.rank);
    tile.running_max = s.split_max + at, tile.sum = s.split_sum + at;
    tile.first_position = s.positions[part.task.first_row];
    tile.scale = static_cast<float>(scale);
    for (std::size_t row = 0; row < queries.n_rows; ++row)
      std::memcpy(tile.queries.row(row), queries.row(row), queries.n_cols * sizeof(float));
    ops::attend_begin(ctx, tile);
    attend_blocks(ctx, tile, *part.task.sequence->kv, kv_layer, part.first_block, part.end_block, 0, 0, floats);
  });
  for_heads_of_split_units([&](const AttentionSplit::Part& unit, std::size_t i) {
    const std::size_t first = unit.slot * s.unit_rows;
    for (std::size_t t = 0; t < unit.task.n_tokens; ++t) {
      const std::size_t at = first + t * unit.task.n_heads + i;
      ops::attend_merge(ctx, s.split_out.row(at), d.rank, s.unit_rows * d.rank, s.split_max + at, s.split_sum + at, s.unit_rows,
                        unit.n_parts);
    }
    project_out(ctx, d, w, unit.task, i, s.split_out.rows(first, unit.task.n_tokens * unit.task.n_heads), s);
  });
}

}  // namespace

void attention_mla(const Context& ctx, const Config& config, const Rope& rope, const AttentionWeights& w,
                   const Rows& rows, std::size_t kv_layer, Scratch& s) {
  const std::size_t n = rows.n_rows;
  const MlaSizes d(config);
  const Tensor x = s.normed.rows(0, n), q = s.q.rows(0, n), kv = s.kv.rows(0, n), out = s.attn_heads.rows(0, n);

  ops::Product kv_a{kv, x, &w.kv_a_proj_with_mqa, nullptr, w.kv_a_proj_bias};
  if (w.q_proj.empty()) {
    const Tensor q_lora = s.q_lora.rows(0, n);
    ops::Product projections[] = {{q_lora, x, &w.q_a_proj, nullptr, w.q_a_proj_bias}, kv_a};
    ops::matmul_all(ctx, projections);
    ops::rms_norm(ctx, q_lora, q_lora, w.q_a_layernorm, kLoraNormEps);
    ops::matmul(ctx, q, q_lora, w.q_b_proj);
  } else {
    ops::Product projections[] = {{q, x, &w.q_proj}, kv_a};
    ops::matmul_all(ctx, projections);
  }
  ops::for_rows(ctx, n, d.heads * d.rope + d.rank, [&](std::size_t first, std::size_t count) {
    for (std::size_t t = first; t < first + count; ++t) {
      const KvCache& cache = *rows.sequences[static_cast<std::size_t>(s.sequence_of[t])].kv;
      ctx.kernels->rms_norm(kv.row(t), kv.stride, kv.row(t), kv.stride, w.kv_a_layernorm, 1, d.rank,
                            static_cast<float>(kLoraNormEps));
      ctx.kernels->rope_interleaved(kv.row(t) + d.rank, d.rope, s.cos.row(t), s.sin.row(t), 1, d.rope);
      ctx.kernels->rope_interleaved(q.row(t) + d.nope, d.qk(), s.cos.row(t), s.sin.row(t), d.heads, d.rope);
      ops::kv_store(ctx, cache.layout().format(), cache.row(kv_layer, s.positions[t]), kv.row(t));
    }
  });

  const auto expands = [&](const SequenceRows& sequence) {
    if (rows.mla_form != MlaForm::automatic) return rows.mla_form == MlaForm::expanded;
    return ctx.compute == Compute::fast && sequence.n_rows >= kMinExpandedRows;
  };
  if (ctx.compute == Compute::fast) attend_split(ctx, d, rope.attention_scale, w, rows, expands, kv_layer, s);
  else
    for_attention_tasks(ctx, rows, d.heads, d.heads, s, [&](const AttentionTask& task, float* floats) {
      if (!expands(*task.sequence))
        attend_absorbed(ctx, d, rope.attention_scale, w, task, kv_layer, floats, s);
      else if (task.first_row == task.sequence->first_row)  // this head's other tiles are part of it
        for (std::size_t head = task.first_head; head < task.first_head + task.n_heads; ++head)
          attend_expanded(ctx, d, rope.attention_scale, w, *task.sequence, head, kv_layer, floats, s);
    });
  ops::matmul(ctx, s.block_out.rows(0, n), out, w.o_proj, w.o_proj_bias);
}

}  // namespace ponder::core
