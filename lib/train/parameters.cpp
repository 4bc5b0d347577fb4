#include "lib/train/parameters.h"

#include <cstring>

#include "lib/base/format.h"
#include "lib/ops/weight_rows.h"

namespace ponder::core {
namespace {

constexpr std::size_t kAlignment = Buffer::kAlignment / sizeof(float);

// Lays tensors out one after another. Without memory: only the list.
class MasterBinder final : public TensorBinder {
 public:
  explicit MasterBinder(float* memory) : memory_(memory) {}

  Weight matrix(const std::string& name, std::int64_t n_out, std::int64_t n_in, Component component) override {
    Weight weight;
    weight.n_out = static_cast<std::size_t>(n_out);
    weight.n_in = static_cast<std::size_t>(n_in);
    weight.data = reinterpret_cast<const std::byte*>(place(name, Shape{n_out, n_in}, component));
    return weight;
  }
  const float* vector(const std::string& name, std::int64_t n, Component component) override {
    return place(name, Shape{n}, component);
  }
  bool has(const std::string&) const override { return false; }  // one form of kv_b_proj, and no MTP layer
  bool go_on() override { return true; }

  std::vector<ParameterTensor> tensors;
  std::size_t size = 0;

 private:
  const float* place(const std::string& name, const Shape& shape, Component component) {
    ParameterTensor tensor{name, shape, component, size, static_cast<std::size_t>(shape.n_elements()),
                           !name.ends_with("e_score_correction_bias")};
    size += (tensor.size + kAlignment - 1) / kAlignment * kAlignment;
    tensors.push_back(std::move(tensor));
    return memory_ ? memory_ + tensors.back().offset : nullptr;
  }
  float* memory_;
};

// Copies one model's weights into another of the same config.
struct Copier {
  const Context& ctx;
  const Config& config;

  static float* writable(const Weight& w) { return reinterpret_cast<float*>(const_cast<std::byte*>(w.data)); }

  void matrix(const Weight& to, const Weight& from) const {
    if (to.empty()) return;
    ops::dequantize(ctx, Tensor(writable(to), to.n_out, to.n_in), from, 0);
  }
  static void vector(const float* to, const float* from, std::int64_t n) {
    if (to) std::memcpy(const_cast<float*>(to), from, static_cast<std::size_t>(n) * sizeof(float));
  }
  // From GGUF's two parts: per head the key part transposed, and the value part.
  void kv_b_proj(const AttentionWeights& to, const AttentionWeights& from) const {
    if (from.k_b_proj.empty()) return matrix(to.kv_b_proj, from.kv_b_proj);
    const auto heads = static_cast<std::size_t>(config.num_attention_heads);
    const auto rank = static_cast<std::size_t>(config.kv_lora_rank);
    const auto nope = static_cast<std::size_t>(config.qk_nope_head_dim), v = static_cast<std::size_t>(config.v_head_dim);
    std::vector<float> keys(rank * nope);
    float* rows = writable(to.kv_b_proj);
    for (std::size_t head = 0; head < heads; ++head, rows += (nope + v) * rank) {
      ops::dequantize(ctx, Tensor(keys.data(), rank, nope), from.k_b_proj, head * rank);
      for (std::size_t i = 0; i < nope; ++i)
        for (std::size_t k = 0; k < rank; ++k) rows[i * rank + k] = keys[k * nope + i];
      ops::dequantize(ctx, Tensor(rows + nope * rank, v, rank), from.v_b_proj, head * v);
    }
  }
  void attention(const AttentionWeights& to, const AttentionWeights& from) const {
    const Config& c = config;
    for (const auto member : {&AttentionWeights::q_proj, &AttentionWeights::q_a_proj, &AttentionWeights::q_b_proj,
                              &AttentionWeights::kv_a_proj_with_mqa, &AttentionWeights::k_proj, &AttentionWeights::v_proj,
                              &AttentionWeights::o_proj})
      matrix(to.*member, from.*member);
    if (c.is_mla()) kv_b_proj(to, from);
    vector(to.q_a_layernorm, from.q_a_layernorm, c.q_lora_rank);
    vector(to.kv_a_layernorm, from.kv_a_layernorm, c.kv_lora_rank);
    vector(to.q_a_proj_bias, from.q_a_proj_bias, c.q_lora_rank);
    vector(to.kv_a_proj_bias, from.kv_a_proj_bias, c.kv_lora_rank + c.qk_rope_head_dim);
    vector(to.q_proj_bias, from.q_proj_bias, c.num_attention_heads * c.head_dim);
    vector(to.k_proj_bias, from.k_proj_bias, c.num_key_value_heads * c.head_dim);
    vector(to.v_proj_bias, from.v_proj_bias, c.num_key_value_heads * c.head_dim);
    vector(to.o_proj_bias, from.o_proj_bias, c.hidden_size);
  }
  void mlp(const MlpWeights& to, const MlpWeights& from) const {
    matrix(to.gate_proj, from.gate_proj);
    matrix(to.up_proj, from.up_proj);
    matrix(to.down_proj, from.down_proj);
  }
  void all(const ModelWeights& to, const ModelWeights& from) const {
    matrix(to.embed_tokens, from.embed_tokens);
    for (std::size_t i = 0; i < to.layers.size(); ++i) {
      const LayerWeights &a = to.layers[i], &b = from.layers[i];
      vector(a.input_layernorm, b.input_layernorm, config.hidden_size);
      attention(a.self_attn, b.self_attn);
      vector(a.post_attention_layernorm, b.post_attention_layernorm, config.hidden_size);
      mlp(a.mlp, b.mlp);
      matrix(a.moe.gate, b.moe.gate);
      vector(a.moe.e_score_correction_bias, b.moe.e_score_correction_bias, config.n_routed_experts);
      for (std::size_t e = 0; e < a.moe.experts.size(); ++e) mlp(a.moe.experts[e], b.moe.experts[e]);
      mlp(a.moe.shared_experts, b.moe.shared_experts);
    }
    vector(to.norm, from.norm, config.hidden_size);
    if (!config.tie_word_embeddings) matrix(to.lm_head, from.lm_head);
  }
};

}  // namespace

Result<std::unique_ptr<Parameters>> Parameters::create(const Context& ctx, std::shared_ptr<const Model> base) {
  std::unique_ptr<Parameters> parameters(new Parameters);
  const Config& config = base->config();
  ModelWeights& weights = parameters->weights_;
  {
    MasterBinder binder(nullptr);
    bind_weights(config, false, binder, weights);
    parameters->tensors_ = std::move(binder.tensors);
    parameters->size_ = binder.size;
  }
  PONDER_ASSIGN(parameters->memory_,
                Buffer::allocate(parameters->size_ * sizeof(float), ctx.memory, MemoryUse::weights));
  std::memset(parameters->memory_.data(), 0, parameters->size_ * sizeof(float));
  weights = {};
  MasterBinder binder(parameters->values());
  bind_weights(config, false, binder, weights);
  Copier{ctx, config}.all(weights, base->weights());
  for (std::size_t i = 0; i < parameters->tensors_.size(); ++i)
    parameters->by_name_.emplace(parameters->tensors_[i].name, i);
  parameters->base_ = std::move(base);
  return parameters;
}

const ParameterTensor* Parameters::find(const std::string& name) const {
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : &tensors_[at->second];
}

}  // namespace ponder::core
