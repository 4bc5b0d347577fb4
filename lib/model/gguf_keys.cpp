#include "lib/model/gguf_keys.h"

#include <algorithm>
#include <cmath>

#include "lib/base/format.h"
#include "lib/io/gguf.h"
#include "lib/text/gguf_vocabulary.h"
#include "lib/text/tokenizer_config.h"

namespace ponder::core {
namespace {

// Of general.*, what the new file says for itself.
bool is_ours(std::string_view key) {
  for (const char* ours : {"architecture", "file_type", "quantization_version", "alignment"})
    if (key.substr(key.find('.') + 1) == ours) return true;
  return false;
}

class Keys {
 public:
  Keys(std::string_view architecture, GgufMetadata& metadata) : prefix_(std::string(architecture) + "."), out_(metadata) {}
  void u32(std::string_view key, std::int64_t value) { out_.add_u32(prefix_ + std::string(key), value); }
  void f32(std::string_view key, double value) { out_.add_f32(prefix_ + std::string(key), static_cast<float>(value)); }
  void boolean(std::string_view key, bool value) { out_.add_bool(prefix_ + std::string(key), value); }
  void string(std::string_view key, std::string_view value) { out_.add_string(prefix_ + std::string(key), value); }

 private:
  std::string prefix_;
  GgufMetadata& out_;
};

Status cannot(std::string_view what) { return fail(Code::unsupported, "config.json: {}: GGUF cannot say it", what); }

Status add_rope(const Config& c, Keys& keys) {
  const RopeScaling& s = c.rope_scaling;
  keys.f32("rope.freq_base", c.rope_theta);
  keys.u32("rope.dimension_count", c.is_mla() ? c.qk_rope_head_dim : c.head_dim);
  if (s.type == RopeScalingType::none || s.type == RopeScalingType::llama3) return {};  // llama3: rope_freqs.weight
  keys.string("rope.scaling.type", s.type == RopeScalingType::yarn ? "yarn" : "linear");
  keys.f32("rope.scaling.factor", s.factor);
  if (s.type == RopeScalingType::linear) return {};
  keys.u32("rope.scaling.original_context_length", static_cast<std::int64_t>(s.original_max_position_embeddings));
  keys.f32("rope.scaling.yarn_beta_fast", s.beta_fast);
  keys.f32("rope.scaling.yarn_beta_slow", s.beta_slow);
  if (!c.is_mla()) {  // readers multiply it by 0.1 ln(factor) + 1
    const double log = s.factor > 1 ? 0.1 * std::log(s.factor) : 0;
    if (log != 0 && s.mscale != 1) keys.f32("rope.scaling.attn_factor", (log * s.mscale + 1) / (log + 1));
    return {};
  }
  if (s.mscale != s.mscale_all_dim) return cannot("rope_scaling.mscale other than mscale_all_dim");
  keys.f32("rope.scaling.yarn_log_multiplier", 0.1 * s.mscale_all_dim);
  return {};
}

// One key and value head, the latent, which each head's k_b and v_b expand.
Status add_mla(const Config& c, Keys& keys) {
  if (c.attention_bias) return cannot("attention_bias");
  keys.u32("attention.head_count_kv", 1);
  keys.u32("attention.q_lora_rank", c.q_lora_rank);  // 0, too: llama.cpp misses the key but in models of 26 or 27 layers
  keys.u32("attention.kv_lora_rank", c.kv_lora_rank);
  keys.u32("attention.key_length", c.kv_lora_rank + c.qk_rope_head_dim);
  keys.u32("attention.value_length", c.kv_lora_rank);
  keys.u32("attention.key_length_mla", c.qk_head_dim());
  keys.u32("attention.value_length_mla", c.v_head_dim);
  return {};
}

Status add_moe(const Config& c, Keys& keys) {
  const bool v3 = c.architecture == Architecture::deepseek_v3;  // sigmoid scores, by which readers tell it from V2
  const bool moe = c.n_routed_experts > 0;
  keys.u32("leading_dense_block_count", moe ? c.first_k_dense_replace : c.num_hidden_layers);
  keys.u32("expert_shared_count", c.n_shared_experts);
  keys.u32("expert_feed_forward_length", moe ? c.moe_intermediate_size : c.intermediate_size);
  keys.u32("expert_gating_func", v3 ? 2 : 1);
  if (!moe) return {};
  if (c.moe_layer_freq != 1) return cannot("moe_layer_freq other than 1");
  const bool grouped = c.topk_method != TopkMethod::greedy;
  // DeepSeek V2 divides by the sum instead of scaling, never both.
  const bool scaled = v3 || !c.norm_topk_prob || c.num_experts_per_tok == 1;
  keys.u32("expert_count", c.n_routed_experts);
  keys.u32("expert_used_count", c.num_experts_per_tok);
  keys.u32("expert_group_count", grouped ? c.n_group : 1);
  keys.u32("expert_group_used_count", grouped ? c.topk_group : 1);
  keys.f32("expert_weights_scale", scaled ? c.routed_scaling_factor : 1);
  keys.boolean("expert_weights_norm", c.norm_topk_prob);
  return {};
}

void add_special_tokens(const Model& model, const GgufVocabulary& vocabulary, std::string_view pad,
                        GgufMetadata& metadata) {
  const Tokenizer& tokenizer = *model.tokenizer();
  const auto add = [&](std::string_view name, std::optional<TokenId> id) {
    if (id && *id >= 0 && static_cast<std::size_t>(*id) < vocabulary.tokens.size())
      metadata.add_u32(formatted("tokenizer.ggml.{}_token_id", name), *id);
  };
  // eos ends a text, eot a turn; the model's list of ends has both where they differ.
  std::vector<std::int32_t> ends = model.config().eos_token_ids;
  std::optional<TokenId> eos = tokenizer.eos();
  if (!eos && !ends.empty()) eos = ends.front();
  std::erase(ends, eos.value_or(-1));
  add("bos", tokenizer.bos());
  add("eos", eos);
  if (!ends.empty()) add("eot", ends.back());
  if (ends.size() > 1) add("eom", ends.front());
  if (!pad.empty()) add("padding", tokenizer.find(pad));
  metadata.add_bool("tokenizer.ggml.add_bos_token", tokenizer.add_bos());
}

Result<std::string> pad_token(std::string_view tokenizer_config) {
  if (tokenizer_config.empty()) return std::string();
  PONDER_ASSIGN(const Json json, parse_json(tokenizer_config, "tokenizer_config.json"));
  const Json* pad = json.find("pad_token");
  if (pad && pad->is_object()) pad = pad->find("content");
  return pad && pad->is_string() ? pad->as_string() : std::string();
}

}  // namespace

std::string_view gguf_architecture(const Config& config) {
  return config.is_mla() ? "deepseek2" : config.architecture == Architecture::qwen2 ? "qwen2" : "llama";
}

Status add_model_keys(const Config& c, GgufMetadata& metadata) {
  Keys keys(gguf_architecture(c), metadata);
  keys.u32("block_count", c.num_hidden_layers);
  keys.u32("context_length", c.max_position_embeddings);
  keys.u32("embedding_length", c.hidden_size);
  keys.u32("feed_forward_length", c.intermediate_size);
  keys.u32("vocab_size", c.vocab_size);
  keys.u32("attention.head_count", c.num_attention_heads);
  keys.f32("attention.layer_norm_rms_epsilon", c.rms_norm_eps);
  PONDER_TRY(add_rope(c, keys));
  if (c.is_mla()) {
    PONDER_TRY(add_mla(c, keys));
    return add_moe(c, keys);
  }
  keys.u32("attention.head_count_kv", c.num_key_value_heads);
  keys.u32("attention.key_length", c.head_dim);
  keys.u32("attention.value_length", c.head_dim);
  return {};
}

Status add_text_keys(const FileSource& source, const Model& model, GgufMetadata& metadata,
                     std::vector<std::string>& warnings) {
  if (const std::string file = source.gguf_file(); !file.empty()) {
    PONDER_ASSIGN(const GgufCheckpoint checkpoint, GgufCheckpoint::open(source, file));
    for (const Gguf::Entry& entry : checkpoint.first().metadata())
      if (entry.key.starts_with("tokenizer.") || (entry.key.starts_with("general.") && !is_ours(entry.key)))
        metadata.add_value(entry.key, entry.value);
    return {};
  }
  if (!source.exists("tokenizer.json")) {
    metadata.add_string("tokenizer.ggml.model", "none");
    warnings.push_back("tokenizer.json is missing: the file has no tokenizer");
    return {};
  }
  PONDER_ASSIGN(const FileView file, source.open("tokenizer.json"));
  FileView config_file;
  if (source.exists("tokenizer_config.json")) {
    PONDER_ASSIGN(config_file, source.open("tokenizer_config.json"));
  }
  PONDER_ASSIGN(GgufVocabulary vocabulary,
                read_gguf_vocabulary(file.text(), static_cast<std::size_t>(model.config().vocab_size)));
  // The same rules under another name where the vocabulary is DeepSeek's.
  if (vocabulary.pre == "qwen2" && model.tokenizer()->find("<\uff5cUser\uff5c>")) vocabulary.pre = "deepseek-r1-qwen";
  metadata.add_string("tokenizer.ggml.model", "gpt2");
  metadata.add_string("tokenizer.ggml.pre", vocabulary.pre);
  metadata.add_strings("tokenizer.ggml.tokens", vocabulary.tokens);
  metadata.add_integers("tokenizer.ggml.token_type", GgufType::i32, vocabulary.token_types);
  metadata.add_strings("tokenizer.ggml.merges", vocabulary.merges);
  PONDER_ASSIGN(const std::string pad, pad_token(config_file.text()));
  add_special_tokens(model, vocabulary, pad, metadata);
  PONDER_ASSIGN(TokenizerConfig config, TokenizerConfig::parse(config_file.text()));
  if (source.exists("chat_template.jinja")) {
    PONDER_ASSIGN(const FileView jinja, source.open("chat_template.jinja"));
    config.chat_template = jinja.text();
  }
  if (!config.chat_template.empty()) metadata.add_string("tokenizer.chat_template", config.chat_template);
  if (!config.tool_template.empty()) {
    metadata.add_strings("tokenizer.chat_templates", std::vector<std::string>{"tool_use"});
    metadata.add_string("tokenizer.chat_template.tool_use", config.tool_template);
  }
  return {};
}

}  // namespace ponder::core
