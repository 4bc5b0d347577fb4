// Linear layers by their names in safetensors checkpoints, as bind_weights.cpp binds them.
#include <charconv>

#include "lib/base/format.h"
#include "lib/model/adapter.h"

namespace ponder::core {

namespace {

// Takes "<number>." off the front; false when there is none or it is not below `end`.
bool take_index(std::string_view& name, std::size_t end, std::size_t& index) {
  const auto [rest, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  const auto n_digits = static_cast<std::size_t>(rest - name.data());
  if (error != std::errc() || index >= end || n_digits >= name.size() || *rest != '.') return false;
  name.remove_prefix(n_digits + 1);
  return true;
}

bool take(std::string_view& name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return false;
  name.remove_prefix(prefix.size());
  return true;
}

const Weight* of_mlp(const MlpWeights& w, std::string_view name) {
  return name == "gate_proj" ? &w.gate_proj : name == "up_proj" ? &w.up_proj : name == "down_proj" ? &w.down_proj : nullptr;
}

const Weight* of_attention(const AttentionWeights& w, std::string_view name) {
  const std::pair<std::string_view, const Weight*> all[] = {
      {"q_proj", &w.q_proj},     {"k_proj", &w.k_proj},     {"v_proj", &w.v_proj},
      {"o_proj", &w.o_proj},     {"q_a_proj", &w.q_a_proj}, {"q_b_proj", &w.q_b_proj},
      {"kv_b_proj", &w.kv_b_proj}, {"kv_a_proj_with_mqa", &w.kv_a_proj_with_mqa}};
  for (const auto& [known, weight] : all)
    if (name == known) return weight;
  return nullptr;
}

const Weight* of_layer(const LayerWeights& w, std::string_view name) {
  if (take(name, "self_attn.")) return of_attention(w.self_attn, name);
  if (!take(name, "mlp.")) return nullptr;
  if (w.moe.experts.empty()) return of_mlp(w.mlp, name);
  if (take(name, "shared_experts.")) return of_mlp(w.moe.shared_experts, name);
  std::size_t expert = 0;
  if (!take(name, "experts.") || !take_index(name, w.moe.experts.size(), expert)) return nullptr;
  return of_mlp(w.moe.experts[expert], name);
}

}  // namespace

Result<Linear> find_linear(const Config& config, const ModelWeights& weights, std::string_view name) {
  std::string_view rest = name;
  std::size_t layer = 0;
  Linear linear;
  if (name == "lm_head") {
    linear.weight = &weights.lm_head;
  } else if (take(rest, "model.layers.") && take_index(rest, weights.layers.size(), layer)) {
    const LayerWeights& w = weights.layers[layer];
    linear.weight = of_layer(w, rest);
    if (linear.weight == &w.self_attn.kv_b_proj && !w.self_attn.v_b_proj.empty()) {
      linear.n_out = static_cast<std::size_t>(config.num_attention_heads * (config.qk_nope_head_dim + config.v_head_dim));
      linear.n_in = static_cast<std::size_t>(config.kv_lora_rank);
      return linear;
    }
    if (!config.is_mla() && config.rope_interleave && (rest == "self_attn.q_proj" || rest == "self_attn.k_proj"))
      linear.head_rows = static_cast<std::size_t>(config.head_dim);
  }
  if (!linear.weight || linear.weight->empty())
    return fail(Code::not_found, "{} is no linear layer of this model ({} layers, {})", name, weights.layers.size(),
                config.architecture_name);
  linear.n_out = linear.weight->n_out;
  linear.n_in = linear.weight->n_in;
  return linear;
}

}  // namespace ponder::core
