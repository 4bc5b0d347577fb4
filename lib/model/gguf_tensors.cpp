#include "lib/model/gguf_tensors.h"

#include <cmath>

#include "lib/base/format.h"
#include "lib/model/scratch.h"

namespace ponder::core {
namespace {

using Rows = GgufTensorSource::Rows;

class Lister {
 public:
  Lister(const Model& model, const Mix& mix, bool has_importance)
      : model_(model), c_(model.config()), mix_(mix), has_importance_(has_importance) {}

  std::vector<GgufTensorSource> take() { return std::move(list_); }

  void all() {
    const ModelWeights& w = model_.weights();
    matrix("token_embd", w.embed_tokens);
    rope_freqs();
    for (std::size_t i = 0; i < w.layers.size(); ++i) layer(formatted("blk.{}.", i), w.layers[i]);
    vector("output_norm.weight", w.norm, c_.hidden_size);
    if (!c_.tie_word_embeddings) matrix("output", w.lm_head);
  }

 private:
  // GGUF's llama has its own order of rows; a model from such a file has it already.
  Rows roped() const {
    return c_.architecture == Architecture::llama && !c_.rope_interleave ? Rows::pairs : Rows::all;
  }

  GgufTensorSource& add(std::string name, Shape shape) {
    GgufTensorSource& tensor = list_.emplace_back();
    const ChosenType type = choose_type(mix_, c_, has_importance_, name, shape);
    tensor.out = {std::move(name), type.type, shape};
    tensor.fallback = type.fallback;
    return tensor;
  }
  void matrix(std::string name, const Weight& w, Rows rows = Rows::all) {
    GgufTensorSource& tensor =
        add(std::move(name) + ".weight", {static_cast<std::int64_t>(w.n_out), static_cast<std::int64_t>(w.n_in)});
    tensor.weights = {&w};
    tensor.rows = rows;
  }
  void heads(std::string name, const Weight& w, std::int64_t n_out, std::int64_t n_in, Rows rows) {
    GgufTensorSource& tensor = add(std::move(name) + ".weight", {c_.num_attention_heads, n_out, n_in});
    tensor.weights = {&w};
    tensor.rows = rows;
  }
  void experts(std::string name, const std::vector<MlpWeights>& list, Weight MlpWeights::*projection) {
    const Weight& first = list.front().*projection;
    GgufTensorSource& tensor = add(std::move(name) + ".weight", {static_cast<std::int64_t>(list.size()),
                                                                 static_cast<std::int64_t>(first.n_out),
                                                                 static_cast<std::int64_t>(first.n_in)});
    for (const MlpWeights& expert : list) tensor.weights.push_back(&(expert.*projection));
  }
  void vector(std::string name, const float* values, std::int64_t n, Rows rows = Rows::all) {
    if (!values) return;
    GgufTensorSource& tensor = add(std::move(name), {n});
    tensor.rows = rows;
    tensor.vector.resize(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < tensor.vector.size(); ++i) tensor.vector[i] = values[tensor.source_row(c_, i)];
  }
  void mlp(const std::string& at, const char* suffix, const MlpWeights& w) {
    matrix(at + "ffn_gate" + suffix, w.gate_proj);
    matrix(at + "ffn_up" + suffix, w.up_proj);
    matrix(at + "ffn_down" + suffix, w.down_proj);
  }

  void mla(const std::string& at, const AttentionWeights& w) {
    if (c_.q_lora_rank > 0) {
      matrix(at + "attn_q_a", w.q_a_proj);
      vector(at + "attn_q_a_norm.weight", w.q_a_layernorm, c_.q_lora_rank);
      matrix(at + "attn_q_b", w.q_b_proj);
    } else {
      matrix(at + "attn_q", w.q_proj);
    }
    matrix(at + "attn_kv_a_mqa", w.kv_a_proj_with_mqa);
    vector(at + "attn_kv_a_norm.weight", w.kv_a_layernorm, c_.kv_lora_rank);
    const bool split = w.kv_b_proj.empty();
    heads(at + "attn_k_b", split ? w.k_b_proj : w.kv_b_proj, c_.kv_lora_rank, c_.qk_nope_head_dim,
          split ? Rows::all : Rows::keys);
    heads(at + "attn_v_b", split ? w.v_b_proj : w.kv_b_proj, c_.v_head_dim, c_.kv_lora_rank,
          split ? Rows::all : Rows::values);
    matrix(at + "attn_output", w.o_proj);
  }

  void gqa(const std::string& at, const AttentionWeights& w) {
    const std::int64_t q = c_.num_attention_heads * c_.head_dim, kv = c_.num_key_value_heads * c_.head_dim;
    matrix(at + "attn_q", w.q_proj, roped());
    matrix(at + "attn_k", w.k_proj, roped());
    matrix(at + "attn_v", w.v_proj);
    matrix(at + "attn_output", w.o_proj);
    vector(at + "attn_q.bias", w.q_proj_bias, q, roped());
    vector(at + "attn_k.bias", w.k_proj_bias, kv, roped());
    vector(at + "attn_v.bias", w.v_proj_bias, kv);
    vector(at + "attn_output.bias", w.o_proj_bias, c_.hidden_size);
  }

  void layer(const std::string& at, const LayerWeights& w) {
    vector(at + "attn_norm.weight", w.input_layernorm, c_.hidden_size);
    if (c_.is_mla()) mla(at, w.self_attn);
    else gqa(at, w.self_attn);
    vector(at + "ffn_norm.weight", w.post_attention_layernorm, c_.hidden_size);
    if (w.moe.experts.empty()) return mlp(at, "", w.mlp);
    matrix(at + "ffn_gate_inp", w.moe.gate);
    vector(at + "exp_probs_b.bias", w.moe.e_score_correction_bias, c_.n_routed_experts);
    experts(at + "ffn_gate_exps", w.moe.experts, &MlpWeights::gate_proj);
    experts(at + "ffn_up_exps", w.moe.experts, &MlpWeights::up_proj);
    experts(at + "ffn_down_exps", w.moe.experts, &MlpWeights::down_proj);
    if (c_.n_shared_experts > 0) mlp(at, "_shexp", w.moe.shared_experts);
  }

  // What Llama 3's scaling divides the frequencies by.
  void rope_freqs() {
    const RopeScaling& s = c_.rope_scaling;
    if (s.type != RopeScalingType::llama3 && s.divisors.empty()) return;
    const Rope rope = Rope::create(c_);
    const auto n = static_cast<double>(c_.head_dim);
    std::vector<float> divisors;
    for (std::size_t i = 0; i < rope.inverse_frequencies.size(); ++i) {
      const double plain = std::pow(c_.rope_theta, -2.0 * static_cast<double>(i) / n);
      divisors.push_back(static_cast<float>(s.divisors.empty() ? plain / rope.inverse_frequencies[i] : s.divisors[i]));
    }
    vector("rope_freqs.weight", divisors.data(), static_cast<std::int64_t>(divisors.size()));
  }

  const Model& model_;
  const Config& c_;
  const Mix& mix_;
  bool has_importance_;
  std::vector<GgufTensorSource> list_;
};

}  // namespace

std::size_t GgufTensorSource::source_row(const Config& c, std::size_t i) const {
  if (rows == Rows::pairs) {
    const auto dim = static_cast<std::size_t>(c.head_dim), of_head = i % dim;
    return i - of_head + of_head / 2 + of_head % 2 * (dim / 2);
  }
  if (rows == Rows::values) {
    const auto keys = static_cast<std::size_t>(c.qk_nope_head_dim), values = static_cast<std::size_t>(c.v_head_dim);
    return i / values * (keys + values) + keys + i % values;
  }
  return i;
}

Result<std::vector<GgufTensorSource>> gguf_tensors(const Model& model, const Mix& mix, bool has_importance) {
  const Config& c = model.config();
  const RopeScaling& s = c.rope_scaling;
  if (c.architecture == Architecture::qwen2 && (s.type == RopeScalingType::llama3 || !s.divisors.empty()))
    return fail(Code::unsupported, "config.json: rope_scaling llama3 of qwen2: GGUF cannot say it");
  Lister lister(model, mix, has_importance);
  lister.all();
  return lister.take();
}

}  // namespace ponder::core
