#include "lib/model/decoder_layer.h"

#include "lib/ops/ops.h"

namespace ponder::core {

void decoder_layer(const Context& ctx, const Config& config, const Rope& rope, const LayerWeights& w, const Rows& rows,
                   std::size_t layer, std::size_t kv_layer, Scratch& s, ForwardTap* tap) {
  const Tensor x = s.residual.rows(0, rows.n_rows);
  const Tensor normed = s.normed.rows(0, rows.n_rows);
  const Tensor block_out = s.block_out.rows(0, rows.n_rows);
  ops::rms_norm(ctx, normed, x, w.input_layernorm, config.rms_norm_eps);
  if (config.is_mla())
    attention_mla(ctx, config, rope, w.self_attn, rows, kv_layer, s);
  else
    attention_gqa(ctx, config, rope, w.self_attn, rows, kv_layer, s);
  ops::add_rms_norm(ctx, normed, x, block_out, w.post_attention_layernorm, config.rms_norm_eps);
  if (w.moe.experts.empty())
    ffn_dense(ctx, w.mlp, block_out, normed, s);
  else
    ffn_moe(ctx, config, w.moe, rows.n_rows, layer, s, tap);
  ops::add(ctx, x, block_out);
}

}  // namespace ponder::core
