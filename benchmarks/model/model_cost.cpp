#include "benchmarks/model/model_cost.h"

namespace ponder::bench {

using namespace core;

void Cost::add(const Weight& w, double times) {
  if (w.empty()) return;
  const std::size_t scales = w.type == DType::f8_e4m3 ? 4 * ((w.n_out + 127) / 128 * w.n_scale_cols()) : 0;
  bytes += times * static_cast<double>(w.n_out * w.row_stride_bytes() + scales);
  macs += times * static_cast<double>(w.n_out * w.n_in);
}

void Cost::add(const MlpWeights& m, double times) {
  add(m.gate_proj, times);
  add(m.up_proj, times);
  add(m.down_proj, times);
}

ModelCost::ModelCost(const Model& model) {
  const Config& c = model.config();
  for (const LayerWeights& layer : model.weights().layers) {
    const AttentionWeights& a = layer.self_attn;
    for (const Weight* w : {&a.q_proj, &a.q_a_proj, &a.q_b_proj, &a.kv_a_proj_with_mqa, &a.kv_b_proj, &a.k_b_proj,
                            &a.v_b_proj, &a.k_proj, &a.v_proj, &a.o_proj})
      dense.add(*w);
    if (layer.moe.experts.empty()) {
      dense.add(layer.mlp);
      continue;
    }
    dense.add(layer.moe.gate);
    dense.add(layer.moe.shared_experts);
    // Of one layer each: a mix may give some layers more bits.
    expert.add(layer.moe.experts[0]);
    ++n_moe_layers;
  }
  if (n_moe_layers > 0) expert = {expert.bytes / n_moe_layers, expert.macs / n_moe_layers};
  head.add(model.weights().lm_head);
  experts_in_layer = static_cast<double>(c.n_routed_experts);
  experts_per_token = static_cast<double>(c.num_experts_per_tok);
  n_layers = static_cast<double>(c.num_hidden_layers);
  const auto heads = static_cast<double>(c.num_attention_heads);
  heads_dims = heads * static_cast<double>(c.is_mla() ? c.qk_head_dim() + c.v_head_dim : 2 * c.head_dim);
  latent_dims = c.is_mla() ? heads * static_cast<double>(2 * c.kv_lora_rank + c.qk_rope_head_dim) : heads_dims;
}

double ModelCost::prefill_flops(double n_tokens, double depth) const {
  return 2 * (token_macs() * n_tokens + n_layers * heads_dims * n_tokens * (depth + (n_tokens + 1) / 2) + head.macs);
}

}  // namespace ponder::bench
