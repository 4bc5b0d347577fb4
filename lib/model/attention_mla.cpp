// Multi-head latent attention (DeepSeek-V2 paper, section 2.1). The cache holds the normalised latent c and the rotated
// key part. Absorbed: each head's query is taken into the latent space, whole heads share the cache rows as they lie.
// Expanded: the keys and values of one head are made from the latent, block by block, for all queries of the pass.
#include <cstring>

#include "lib/model/attention_tasks.h"
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
  HeadProjection(const MlaSizes& d, const AttentionWeights& w, std::size_t head)
      : transposed(!w.k_b_proj.empty()),
        keys(transposed ? w.k_b_proj.rows(head * d.rank, d.rank) : w.kv_b_proj.rows(head * (d.nope + d.v), d.nope)),
        values(transposed ? w.v_b_proj.rows(head * d.v, d.v) : w.kv_b_proj.rows(head * (d.nope + d.v) + d.nope, d.v)) {}
  // latent [n, rank] = q [n, nope] BK[h]
  void queries_to_latent(const Context& ctx, const Tensor& latent, const Tensor& q) const {
    if (transposed) ops::matmul_serial(ctx, latent, q, keys);
    else ops::vecmat_serial(ctx, latent, q, keys, false);
  }
  // k [n, nope] = latent [n, rank] BK[h]^T
  void latent_to_keys(const Context& ctx, const Tensor& k, const Tensor& latent) const {
    if (transposed) ops::vecmat_serial(ctx, k, latent, keys, false);
    else ops::matmul_serial(ctx, k, latent, keys);
  }
  bool transposed;
  Weight keys, values;
};

void attend_absorbed(const Context& ctx, const MlaSizes& d, double scale, const AttentionWeights& w, const AttentionTask& task,
                     std::size_t kv_layer, float* floats, Scratch& s) {
  const KvCache& cache = *task.sequence->kv;
  ops::AttendTile tile = take_tile(floats, task.n_tokens, task.n_heads, {}, {}, d.rank + d.rope, d.rank);
  tile.first_position = s.positions[task.first_row];
  tile.scale = static_cast<float>(scale);
  const Tensor q = s.q.rows(task.first_row, task.n_tokens), out = s.attn_heads.rows(task.first_row, task.n_tokens);
  const auto of_head = [&](const Tensor& rows, std::size_t i) {  // the tile's rows of its i-th head
    return Tensor(rows.row(i), task.n_tokens, d.rank, rows.stride * task.n_heads);
  };
  for (std::size_t i = 0; i < task.n_heads; ++i) {
    const std::size_t head = task.first_head + i;
    // qa = q_nope BK[h]; the rotated part goes behind it, as in a cache row.
    HeadProjection(d, w, head).queries_to_latent(ctx, of_head(tile.queries, i), q.cols(head * d.qk(), d.nope));
    for (std::size_t t = 0; t < task.n_tokens; ++t)
      std::memcpy(tile.queries.row(t * task.n_heads + i) + d.rank, q.row(t) + head * d.qk() + d.nope, d.rope * sizeof(float));
  }
  ops::attend_begin(tile);
  for (std::size_t block = 0; block * KvCache::kBlockTokens < tile.end_position(); ++block) {
    const ops::KvRows latent{cache.layout().type, cache.block_rows(block, kv_layer), cache.layout().row_bytes()};
    ops::attend_block(ctx, tile, block * KvCache::kBlockTokens, KvCache::kBlockTokens, latent, latent);
  }
  ops::attend_end(tile);
  for (std::size_t i = 0; i < task.n_heads; ++i) {  // o = BV[h] oc
    const std::size_t head = task.first_head + i;
    ops::matmul_serial(ctx, out.cols(head * d.v, d.v), of_head(tile.out, i), HeadProjection(d, w, head).values);
  }
}

// All rows of one sequence, one head. `floats` holds one block of keys and values at a time, whatever the context.
void attend_expanded(const Context& ctx, const MlaSizes& d, double scale, const AttentionWeights& w,
                     const SequenceRows& sequence, std::size_t head, std::size_t kv_layer, float* floats, Scratch& s) {
  const KvCache& cache = *sequence.kv;
  constexpr std::size_t kBlock = KvCache::kBlockTokens;
  const std::size_t first_position = s.positions[sequence.first_row];
  const HeadProjection projection(d, w, head);
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
  const auto f32_rows = [](const Tensor& t) {
    return ops::KvRows{DType::f32, reinterpret_cast<const std::byte*>(t.data), t.stride * sizeof(float)};
  };
  for_tiles([](const ops::AttendTile& tile) { ops::attend_begin(tile); });
  for (std::size_t first_key = 0; first_key < first_position + sequence.n_rows; first_key += kBlock) {
    const std::size_t n_keys = std::min(kBlock, first_position + sequence.n_rows - first_key);
    const std::byte* rows = cache.block_rows(first_key / kBlock, kv_layer);
    for (std::size_t i = 0; i < n_keys; ++i)
      ops::kv_load(ctx, cache.layout().type, copy.row(i), rows + i * cache.layout().row_bytes(), d.rank + d.rope);
    const Tensor latent = copy.rows(0, n_keys).cols(0, d.rank);
    projection.latent_to_keys(ctx, keys.rows(0, n_keys).cols(0, d.nope), latent);
    ops::matmul_serial(ctx, values.rows(0, n_keys), latent, projection.values);
    for (std::size_t i = 0; i < n_keys; ++i)
      std::memcpy(keys.row(i) + d.nope, copy.row(i) + d.rank, d.rope * sizeof(float));
    for_tiles([&](const ops::AttendTile& tile) {
      ops::attend_block(ctx, tile, first_key, n_keys, f32_rows(keys), f32_rows(values));
    });
  }
  for_tiles([](const ops::AttendTile& tile) { ops::attend_end(tile); });
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
      ops::kv_store(ctx, cache.layout().type, cache.row(kv_layer, s.positions[t]), kv.row(t), d.rank + d.rope);
    }
  });

  const auto expands = [&](const SequenceRows& sequence) {
    if (rows.mla_form != MlaForm::automatic) return rows.mla_form == MlaForm::expanded;
    return ctx.compute == Compute::fast && sequence.n_rows >= kMinExpandedRows;
  };
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
