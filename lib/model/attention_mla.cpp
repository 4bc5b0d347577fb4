// Multi-head latent attention, absorbed form (DeepSeek-V2 paper section 2.1): the cache holds the normalised latent c and
// the rotated key part, and each head's query is taken into the latent space instead of expanding keys and values.
#include <cmath>
#include <cstring>
#include <limits>

#include "lib/model/decoder_layer.h"
#include "lib/ops/ops.h"

namespace ponder::core {

namespace {
constexpr double kLoraNormEps = 1e-6;  // fixed in the official code, not rms_norm_eps
}

void attention_mla(const Context& ctx, const Config& config, const Rope& rope, const AttentionWeights& w,
                   const Rows& rows, std::size_t kv_layer, Scratch& s) {
  const std::size_t n = rows.n_rows;
  const auto heads = static_cast<std::size_t>(config.num_attention_heads);
  const auto nope = static_cast<std::size_t>(config.qk_nope_head_dim);
  const auto rope_dim = static_cast<std::size_t>(config.qk_rope_head_dim);
  const auto rank = static_cast<std::size_t>(config.kv_lora_rank);
  const auto v_dim = static_cast<std::size_t>(config.v_head_dim);
  const std::size_t qk = nope + rope_dim, row_elements = rank + rope_dim;
  const Tensor x = s.normed.rows(0, n), q = s.q.rows(0, n), kv = s.kv.rows(0, n), out = s.attn_heads.rows(0, n);

  if (w.q_proj.empty()) {
    const Tensor q_lora = s.q_lora.rows(0, n);
    ops::matmul(ctx, q_lora, x, w.q_a_proj, w.q_a_proj_bias);
    ops::rms_norm(ctx, q_lora, q_lora, w.q_a_layernorm, kLoraNormEps);
    ops::matmul(ctx, q, q_lora, w.q_b_proj);
  } else {
    ops::matmul(ctx, q, x, w.q_proj);
  }
  ops::matmul(ctx, kv, x, w.kv_a_proj_with_mqa, w.kv_a_proj_bias);
  ops::rms_norm(ctx, kv.cols(0, rank), kv.cols(0, rank), w.kv_a_layernorm, kLoraNormEps);

  for (const SequenceRows& sequence : rows.sequences)
    for (std::size_t t = sequence.first_row; t < sequence.first_row + sequence.n_rows; ++t) {
      ctx.kernels->rope_interleaved(kv.row(t) + rank, rope_dim, s.cos.row(t), s.sin.row(t), 1, rope_dim);
      ctx.kernels->rope_interleaved(q.row(t) + nope, qk, s.cos.row(t), s.sin.row(t), heads, rope_dim);
      ops::kv_store(ctx, sequence.kv->layout().type, sequence.kv->row(kv_layer, s.positions[t]), kv.row(t), row_elements);
    }

  const auto scale = static_cast<float>(rope.attention_scale);
  ctx.pool->parallel_for(
      n * heads,
      [&](std::size_t task) {
        const std::size_t t = task / heads, h = task % heads;
        const SequenceRows& sequence = rows.sequences[static_cast<std::size_t>(s.sequence_of[t])];
        const KvCache& cache = *sequence.kv;
        const std::size_t row_bytes = cache.layout().row_bytes(), n_keys = s.positions[t] + 1;
        float* latent_q = s.attention_rows.row(task);
        float* scores = latent_q + row_elements;
        float* latent_out = scores + KvCache::kBlockTokens;
        const Weight head_rows = w.kv_b_proj.rows(h * (nope + v_dim), nope + v_dim);
        // qa = q_nope BK[h]
        ops::vecmat_serial(ctx, Tensor(latent_q, 1, rank), Tensor(q.row(t) + h * qk, 1, nope), head_rows.rows(0, nope), false);
        std::memcpy(latent_q + rank, q.row(t) + h * qk + nope, rope_dim * sizeof(float));
        std::memset(latent_out, 0, rank * sizeof(float));
        float running_max = -std::numeric_limits<float>::infinity(), sum = 0;
        for (std::size_t block = 0; block * KvCache::kBlockTokens < n_keys; ++block) {
          const std::size_t keys = std::min(KvCache::kBlockTokens, n_keys - block * KvCache::kBlockTokens);
          const std::byte* data = cache.block_rows(block, kv_layer);
          const DType type = cache.layout().type;
          ops::kv_matmul_serial(ctx, Tensor(scores, 1, keys), Tensor(latent_q, 1, row_elements),
                                ops::kv_rows(type, data, keys, row_elements), row_bytes);
          float rescale = 1;
          const float block_sum = ctx.kernels->softmax_block(scores, keys, scale, &running_max, &rescale);
          sum = sum * rescale + block_sum;
          if (rescale != 1)
            for (std::size_t i = 0; i < rank; ++i) latent_out[i] *= rescale;
          ops::kv_vecmat_serial(ctx, Tensor(latent_out, 1, rank), Tensor(scores, 1, keys),
                                ops::kv_rows(type, data, keys, rank), row_bytes, true);
        }
        for (std::size_t i = 0; i < rank; ++i) latent_out[i] /= sum;
        // o = BV[h] oc
        ops::matmul_serial(ctx, Tensor(out.row(t) + h * v_dim, 1, v_dim), Tensor(latent_out, 1, rank), head_rows.rows(nope, v_dim));
      },
      ctx.max_threads);
  ops::matmul(ctx, s.block_out.rows(0, n), out, w.o_proj, w.o_proj_bias);
}

}  // namespace ponder::core
