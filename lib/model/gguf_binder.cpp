// GGUF names are llama.cpp's (gguf-py, constants.py). Experts are one 3-D tensor per projection; a Weight is a slice of it.
#include <algorithm>
#include <limits>
#include <string>
#include <unordered_set>

#include "lib/base/format.h"
#include "lib/model/file_binder.h"

namespace ponder::core {
namespace {

constexpr std::string_view kLayers = "model.layers.";

// Without ".weight" and ".bias", which are the same. Of a layer: behind "model.layers.N." and "blk.N.".
constexpr std::pair<std::string_view, std::string_view> kModelNames[] = {
    {"model.embed_tokens", "token_embd"}, {"model.norm", "output_norm"}, {"lm_head", "output"}};
constexpr std::pair<std::string_view, std::string_view> kLayerNames[] = {
    {"input_layernorm", "attn_norm"},
    {"post_attention_layernorm", "ffn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_a_proj", "attn_q_a"},
    {"self_attn.q_a_layernorm", "attn_q_a_norm"},
    {"self_attn.q_b_proj", "attn_q_b"},
    {"self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa"},
    {"self_attn.kv_a_layernorm", "attn_kv_a_norm"},
    {"self_attn.kv_b_proj", "attn_kv_b"},
    {"self_attn.k_b_proj", "attn_k_b"},
    {"self_attn.v_b_proj", "attn_v_b"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
    {"mlp.gate", "ffn_gate_inp"},
    {"mlp.shared_experts.gate_proj", "ffn_gate_shexp"},
    {"mlp.shared_experts.up_proj", "ffn_up_shexp"},
    {"mlp.shared_experts.down_proj", "ffn_down_shexp"},
    {"eh_proj", "nextn.eh_proj"},
    {"embed_tokens", "nextn.embed_tokens"},
    {"enorm", "nextn.enorm"},
    {"hnorm", "nextn.hnorm"},
    {"shared_head.norm", "nextn.shared_head_norm"},
    {"shared_head.head", "nextn.shared_head_head"}};

struct GgufName {
  std::string name;
  std::int64_t expert = -1;  // slice of a stacked tensor
};

template <std::size_t N>
std::string_view look_up(const std::pair<std::string_view, std::string_view> (&names)[N], std::string_view name) {
  for (const auto& [ours, gguf] : names)
    if (ours == name) return gguf;
  return "";
}

// An empty name: GGUF has no such tensor.
GgufName gguf_name(std::string_view name) {
  if (name.ends_with("mlp.gate.e_score_correction_bias")) {
    const std::string_view layer = name.substr(kLayers.size(), name.find('.', kLayers.size()) - kLayers.size());
    return {formatted("blk.{}.exp_probs_b.bias", layer)};
  }
  const std::size_t dot = name.rfind('.');
  const std::string_view suffix = name.substr(dot);
  name = name.substr(0, dot);
  if (!name.starts_with(kLayers)) {
    const std::string_view found = look_up(kModelNames, name);
    return {found.empty() ? "" : formatted("{}{}", found, suffix)};
  }
  name.remove_prefix(kLayers.size());
  const std::string_view layer = name.substr(0, name.find('.'));
  name.remove_prefix(layer.size() + 1);
  constexpr std::string_view kExperts = "mlp.experts.";
  if (name.starts_with(kExperts)) {
    name.remove_prefix(kExperts.size());
    std::int64_t expert = 0;
    for (; name[0] != '.'; name.remove_prefix(1)) expert = expert * 10 + (name[0] - '0');
    const std::string_view projection = name.substr(1, name.rfind('_') - 1);  // ".gate_proj"
    return {formatted("blk.{}.ffn_{}_exps{}", layer, projection, suffix), expert};
  }
  const std::string_view found = look_up(kLayerNames, name);
  return {found.empty() ? "" : formatted("blk.{}.{}{}", layer, found, suffix)};
}

class GgufBinder final : public FileBinder {
 public:
  GgufBinder(const GgufCheckpoint& checkpoint, const Config& config, const LoadOptions& options, bool with_data,
             ModelWeights& weights)
      : FileBinder("the metadata", options, with_data, checkpoint.tensors().size(), weights),
        checkpoint_(checkpoint),
        config_(config) {
    if (!config.rope_scaling.divisors.empty()) use(checkpoint.find("rope_freqs.weight"));  // read with the config
  }

  Weight matrix(const std::string& name, std::int64_t n_out, std::int64_t n_in, Component component) override {
    const GgufName at = gguf_name(name);
    const bool stacked_heads = name.ends_with(".k_b_proj.weight") || name.ends_with(".v_b_proj.weight");
    const std::int64_t heads = config_.num_attention_heads;
    // ik_llama.cpp writes the heads of k_b and v_b as one matrix: the same bytes.
    const TensorInfo* flat = stacked_heads ? checkpoint_.find(at.name) : nullptr;
    const bool stacked = stacked_heads && !(flat && flat->shape.n_dims() == 2);
    const TensorInfo* info = want(at.name, stacked          ? Shape{heads, n_out / heads, n_in}
                                           : at.expert >= 0 ? Shape{config_.n_routed_experts, n_out, n_in}
                                                            : Shape{n_out, n_in});
    if (!info) return {};
    const bool is_float = info->type == DType::f32 || info->type == DType::f16 || info->type == DType::bf16;
    if (!is_float && block_elements(info->type) == 1) {
      refuse(at.name, formatted("{}: dtype {}, wanted F32, F16, BF16 or a block type", at.name, dtype_name(info->type)));
      return {};
    }
    Weight weight;
    weight.type = info->type;
    weight.n_out = static_cast<std::size_t>(n_out);
    weight.n_in = static_cast<std::size_t>(n_in);
    const std::size_t n_bytes = weight.n_out * weight.row_stride_bytes();
    weight.data = info->bytes.data() + (at.expert >= 0 ? static_cast<std::size_t>(at.expert) * n_bytes : 0);
    bound(info->type, n_bytes, component, n_out * n_in);
    return weight;
  }

  const float* vector(const std::string& name, std::int64_t n, Component component) override {
    const TensorInfo* info = want(gguf_name(name).name, Shape{n});
    return info ? bind_vector(*info, n, component) : nullptr;
  }

  bool has(const std::string& name) const override { return checkpoint_.find(gguf_name(name).name) != nullptr; }

  void warn_surplus(const Config& config, std::vector<std::string>& warnings) const override {
    std::vector<std::string> other;
    std::size_t n_mtp = 0, n_split = 0;
    std::int64_t first_mtp = std::numeric_limits<std::int64_t>::max();
    for (const TensorInfo* info : checkpoint_.tensors()) {
      if (is_used(info)) continue;
      if (const std::int64_t layer = layer_of(info->name, "blk."); layer >= config.num_hidden_layers) {
        ++n_mtp;
        first_mtp = std::min(first_mtp, layer);
      } else if (info->name.ends_with(".attn_k_b.weight") || info->name.ends_with(".attn_v_b.weight")) {
        ++n_split;
      } else {
        other.push_back(formatted("{} is not used", info->name));
      }
    }
    if (n_split) warnings.push_back(formatted("{} tensors attn_k_b and attn_v_b are not used: attn_kv_b is there", n_split));
    warn_mtp_tensors(n_mtp, first_mtp, warnings);
    warn_other(other, warnings);
  }

 private:
  const TensorInfo* want(const std::string& name, const Shape& shape) {
    if (!go_on()) return nullptr;
    const TensorInfo* info = checkpoint_.find(name);
    if (info) use(info);
    if (!info) {
      refuse(name, formatted("{}: missing, wanted {}", name, shape.to_string()));
      return nullptr;
    }
    if (!(info->shape == shape)) {
      refuse(name, formatted("{}: shape {}, wanted {}", name, info->shape.to_string(), shape.to_string()));
      return nullptr;
    }
    return info;
  }
  // Once per tensor, however many experts lie in it.
  void refuse(const std::string& name, std::string text) {
    if (refused_.insert(name).second) problem(std::move(text));
  }

  const GgufCheckpoint& checkpoint_;
  const Config& config_;
  std::unordered_set<std::string> refused_;
};

}  // namespace

std::unique_ptr<FileBinder> bind_gguf(const GgufCheckpoint& checkpoint, const Config& config, const LoadOptions& options,
                                      bool with_data, ModelWeights& weights) {
  return std::make_unique<GgufBinder>(checkpoint, config, options, with_data, weights);
}

}  // namespace ponder::core
