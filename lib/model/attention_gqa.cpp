// Grouped-query attention of the dense families. A cache row is [K of all kv heads | V of all kv heads].
#include <cstring>
#include <limits>

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

  ops::matmul(ctx, q, x, w.q_proj, w.q_proj_bias);
  ops::matmul(ctx, kv.cols(0, kv_width), x, w.k_proj, w.k_proj_bias);
  ops::matmul(ctx, kv.cols(kv_width, kv_width), x, w.v_proj, w.v_proj_bias);
  for (const SequenceRows& sequence : rows.sequences)
    for (std::size_t t = sequence.first_row; t < sequence.first_row + sequence.n_rows; ++t) {
      ctx.kernels->rope_half(q.row(t), dim, s.cos.row(t), s.sin.row(t), heads, dim);
      ctx.kernels->rope_half(kv.row(t), dim, s.cos.row(t), s.sin.row(t), kv_heads, dim);
      ops::kv_store(ctx, sequence.kv->layout().type, sequence.kv->row(kv_layer, s.positions[t]), kv.row(t), 2 * kv_width);
    }

  const auto scale = static_cast<float>(rope.attention_scale);
  ctx.pool->parallel_for(
      n * heads,
      [&](std::size_t task) {
        const std::size_t t = task / heads, h = task % heads, kv_head = h / (heads / kv_heads);
        const SequenceRows& sequence = rows.sequences[static_cast<std::size_t>(s.sequence_of[t])];
        const KvCache& cache = *sequence.kv;
        const DType type = cache.layout().type;
        const std::size_t row_bytes = cache.layout().row_bytes(), n_keys = s.positions[t] + 1;
        float* scores = s.attention_rows.row(task);
        float* head_out = out.row(t) + h * dim;
        std::memset(head_out, 0, dim * sizeof(float));
        float running_max = -std::numeric_limits<float>::infinity(), sum = 0;
        for (std::size_t block = 0; block * KvCache::kBlockTokens < n_keys; ++block) {
          const std::size_t keys = std::min(KvCache::kBlockTokens, n_keys - block * KvCache::kBlockTokens);
          const std::byte* k_data = cache.block_rows(block, kv_layer) + core::row_bytes(type, kv_head * dim);
          const std::byte* v_data = k_data + core::row_bytes(type, kv_width);
          ops::kv_matmul_serial(ctx, Tensor(scores, 1, keys), Tensor(q.row(t) + h * dim, 1, dim),
                                ops::kv_rows(type, k_data, keys, dim), row_bytes);
          float rescale = 1;
          const float block_sum = ctx.kernels->softmax_block(scores, keys, scale, &running_max, &rescale);
          sum = sum * rescale + block_sum;
          if (rescale != 1)
            for (std::size_t i = 0; i < dim; ++i) head_out[i] *= rescale;
          ops::kv_vecmat_serial(ctx, Tensor(head_out, 1, dim), Tensor(scores, 1, keys),
                                ops::kv_rows(type, v_data, keys, dim), row_bytes, true);
        }
        for (std::size_t i = 0; i < dim; ++i) head_out[i] /= sum;
      },
      ctx.max_threads);
  ops::matmul(ctx, s.block_out.rows(0, n), out, w.o_proj, w.o_proj_bias);
}

}  // namespace ponder::core
