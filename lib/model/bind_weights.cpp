// The one list of a model's tensors: names as in the safetensors checkpoints, shapes by the config.
#include "lib/base/format.h"
#include "lib/model/loader.h"

namespace ponder::core {
namespace {

// Names of the tensors of one block; `mtp` counts all of them as the MTP layer.
struct Scope {
  TensorBinder& binder;
  bool mtp = false;

  Component component(Component own) const { return mtp ? Component::mtp : own; }
  Weight matrix(const std::string& name, std::int64_t n_out, std::int64_t n_in, Component own) const {
    return binder.matrix(name, n_out, n_in, component(own));
  }
  const float* vector(const std::string& name, std::int64_t n, Component own) const {
    return binder.vector(name, n, component(own));
  }
};

void bind_mla(const Config& c, const Scope& s, const std::string& at, AttentionWeights& w) {
  constexpr Component kind = Component::attention;
  const std::int64_t d = c.hidden_size, heads = c.num_attention_heads;
  if (c.q_lora_rank > 0) {
    w.q_a_proj = s.matrix(at + "q_a_proj.weight", c.q_lora_rank, d, kind);
    w.q_a_layernorm = s.vector(at + "q_a_layernorm.weight", c.q_lora_rank, Component::norms);
    w.q_b_proj = s.matrix(at + "q_b_proj.weight", heads * c.qk_head_dim(), c.q_lora_rank, kind);
  } else {
    w.q_proj = s.matrix(at + "q_proj.weight", heads * c.qk_head_dim(), d, kind);
  }
  const std::int64_t kv_a_rows = c.kv_lora_rank + c.qk_rope_head_dim;
  w.kv_a_proj_with_mqa = s.matrix(at + "kv_a_proj_with_mqa.weight", kv_a_rows, d, kind);
  w.kv_a_layernorm = s.vector(at + "kv_a_layernorm.weight", c.kv_lora_rank, Component::norms);
  if (s.binder.has(at + "k_b_proj.weight") && !s.binder.has(at + "kv_b_proj.weight")) {
    w.k_b_proj = s.matrix(at + "k_b_proj.weight", heads * c.kv_lora_rank, c.qk_nope_head_dim, kind);
    w.v_b_proj = s.matrix(at + "v_b_proj.weight", heads * c.v_head_dim, c.kv_lora_rank, kind);
  } else {
    w.kv_b_proj = s.matrix(at + "kv_b_proj.weight", heads * (c.qk_nope_head_dim + c.v_head_dim), c.kv_lora_rank, kind);
  }
  w.o_proj = s.matrix(at + "o_proj.weight", d, heads * c.v_head_dim, kind);
  if (c.attention_bias) {
    if (c.q_lora_rank > 0) w.q_a_proj_bias = s.vector(at + "q_a_proj.bias", c.q_lora_rank, kind);
    w.kv_a_proj_bias = s.vector(at + "kv_a_proj_with_mqa.bias", kv_a_rows, kind);
    w.o_proj_bias = s.vector(at + "o_proj.bias", d, kind);
  }
}

void bind_gqa(const Config& c, const Scope& s, const std::string& at, AttentionWeights& w) {
  constexpr Component kind = Component::attention;
  const std::int64_t d = c.hidden_size;
  const std::int64_t q_rows = c.num_attention_heads * c.head_dim, kv_rows = c.num_key_value_heads * c.head_dim;
  w.q_proj = s.matrix(at + "q_proj.weight", q_rows, d, kind);
  w.k_proj = s.matrix(at + "k_proj.weight", kv_rows, d, kind);
  w.v_proj = s.matrix(at + "v_proj.weight", kv_rows, d, kind);
  if (c.architecture == Architecture::qwen2 || c.attention_bias) {
    w.q_proj_bias = s.vector(at + "q_proj.bias", q_rows, kind);
    w.k_proj_bias = s.vector(at + "k_proj.bias", kv_rows, kind);
    w.v_proj_bias = s.vector(at + "v_proj.bias", kv_rows, kind);
  }
  w.o_proj = s.matrix(at + "o_proj.weight", d, q_rows, kind);
  if (c.attention_bias) w.o_proj_bias = s.vector(at + "o_proj.bias", d, kind);
}

void bind_mlp(const Scope& s, const std::string& at, std::int64_t d, std::int64_t inner, Component kind,
              MlpWeights& w) {
  w.gate_proj = s.matrix(at + "gate_proj.weight", inner, d, kind);
  w.up_proj = s.matrix(at + "up_proj.weight", inner, d, kind);
  w.down_proj = s.matrix(at + "down_proj.weight", d, inner, kind);
}

void bind_moe(const Config& c, const Scope& s, const std::string& at, MoeWeights& w) {
  w.gate = s.matrix(at + "gate.weight", c.n_routed_experts, c.hidden_size, Component::router);
  if (c.topk_method == TopkMethod::noaux_tc)
    w.e_score_correction_bias = s.vector(at + "gate.e_score_correction_bias", c.n_routed_experts, Component::router);
  for (std::int64_t e = 0; e < c.n_routed_experts && s.binder.go_on(); ++e) {
    w.experts.emplace_back();
    bind_mlp(s, formatted("{}experts.{}.", at, e), c.hidden_size, c.moe_intermediate_size, Component::routed_experts,
             w.experts.back());
  }
  if (c.n_shared_experts > 0)
    bind_mlp(s, at + "shared_experts.", c.hidden_size, c.n_shared_experts * c.moe_intermediate_size,
             Component::shared_experts, w.shared_experts);
}

void bind_layer(const Config& c, const Scope& s, std::int64_t layer, bool is_moe, LayerWeights& w) {
  const std::string at = formatted("model.layers.{}.", layer);
  w.input_layernorm = s.vector(at + "input_layernorm.weight", c.hidden_size, Component::norms);
  if (c.is_mla()) bind_mla(c, s, at + "self_attn.", w.self_attn);
  else bind_gqa(c, s, at + "self_attn.", w.self_attn);
  w.post_attention_layernorm = s.vector(at + "post_attention_layernorm.weight", c.hidden_size, Component::norms);
  if (is_moe) bind_moe(c, s, at + "mlp.", w.moe);
  else bind_mlp(s, at + "mlp.", c.hidden_size, c.intermediate_size, Component::dense_ffn, w.mlp);
}

void bind_mtp(const Config& c, const Scope& s, ModelWeights& weights) {
  const std::string at = formatted("model.layers.{}.", c.num_hidden_layers);
  const std::int64_t d = c.hidden_size;
  weights.mtp = std::make_unique<MtpWeights>();
  MtpWeights& w = *weights.mtp;
  w.enorm = s.vector(at + "enorm.weight", d, Component::mtp);
  w.hnorm = s.vector(at + "hnorm.weight", d, Component::mtp);
  w.eh_proj = s.matrix(at + "eh_proj.weight", d, 2 * d, Component::mtp);
  w.shared_head_norm = s.vector(at + "shared_head.norm.weight", d, Component::mtp);
  // The official files repeat the main model's embedding and head here; a checkpoint may leave the copies out.
  const std::string embed = at + "embed_tokens.weight", head = at + "shared_head.head.weight";
  w.embed_tokens = weights.embed_tokens;
  if (s.binder.has(embed)) w.embed_tokens = s.matrix(embed, c.vocab_size, d, Component::mtp);
  w.shared_head = weights.lm_head;
  if (s.binder.has(head)) w.shared_head = s.matrix(head, c.vocab_size, d, Component::mtp);
  // A MoE layer, whatever moe_layer_freq makes of its index; a dense one is taken as it is.
  const bool is_dense = c.n_routed_experts == 0 || s.binder.has(at + "mlp.gate_proj.weight");
  bind_layer(c, s, c.num_hidden_layers, !is_dense, w.layer);
}

}  // namespace

void bind_weights(const Config& config, bool with_mtp, TensorBinder& binder, ModelWeights& weights) {
  const Scope s{binder};
  weights.embed_tokens =
      s.matrix("model.embed_tokens.weight", config.vocab_size, config.hidden_size, Component::embedding);
  weights.layers.reserve(static_cast<std::size_t>(config.num_hidden_layers));
  for (std::int64_t layer = 0; layer < config.num_hidden_layers && binder.go_on(); ++layer) {
    weights.layers.emplace_back();
    bind_layer(config, s, layer, config.is_moe_layer(layer), weights.layers.back());
  }
  weights.norm = s.vector("model.norm.weight", config.hidden_size, Component::norms);
  weights.lm_head = weights.embed_tokens;
  if (!config.tie_word_embeddings)
    weights.lm_head = s.matrix("lm_head.weight", config.vocab_size, config.hidden_size, Component::output_head);
  if (with_mtp && binder.go_on()) bind_mtp(config, Scope{binder, true}, weights);
}

}  // namespace ponder::core
