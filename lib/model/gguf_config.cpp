#include "lib/model/gguf_config.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include "lib/base/format.h"

namespace ponder::core {
namespace {

// Keys that mean the same, ours and (behind "ARCHITECTURE.") GGUF's.
struct KeyPair {
  const char* json;
  const char* gguf;
};
constexpr KeyPair kIntegers[] = {{"hidden_size", "embedding_length"},
                                 {"intermediate_size", "feed_forward_length"},
                                 {"num_attention_heads", "attention.head_count"},
                                 {"max_position_embeddings", "context_length"}};
constexpr KeyPair kOthers[] = {{"num_hidden_layers", "block_count"},
                               {"vocab_size", "vocab_size"},
                               {"rms_norm_eps", "attention.layer_norm_rms_epsilon"},
                               {"rope_theta", "rope.freq_base"},
                               {"rope_scaling.factor", "rope.scaling.factor"},
                               {"rope_scaling.original_max_position_embeddings", "rope.scaling.original_context_length"},
                               {"rope_scaling.beta_fast", "rope.scaling.yarn_beta_fast"},
                               {"rope_scaling.beta_slow", "rope.scaling.yarn_beta_slow"},
                               {"rope_scaling.mscale_all_dim", "rope.scaling.yarn_log_multiplier"},
                               {"rope_scaling.attention_factor", "rope.scaling.attn_factor"},
                               {"num_key_value_heads", "attention.head_count_kv"},
                               {"head_dim", "attention.key_length"},
                               {"q_lora_rank", "attention.q_lora_rank"},
                               {"kv_lora_rank", "attention.kv_lora_rank"},
                               {"qk_rope_head_dim", "rope.dimension_count"},
                               {"n_routed_experts", "expert_count"},
                               {"n_shared_experts", "expert_shared_count"},
                               {"num_experts_per_tok", "expert_used_count"},
                               {"moe_intermediate_size", "expert_feed_forward_length"},
                               {"first_k_dense_replace", "leading_dense_block_count"},
                               {"routed_scaling_factor", "expert_weights_scale"},
                               {"norm_topk_prob", "expert_weights_norm"},
                               {"n_group", "expert_group_count"},
                               {"topk_group", "expert_group_used_count"},
                               {"num_nextn_predict_layers", "nextn_predict_layers"}};

// Reads the keys of one architecture and collects what is wrong with them.
class Keys {
 public:
  Keys(const GgufCheckpoint& checkpoint, std::string_view architecture)
      : checkpoint_(checkpoint), prefix_(std::string(architecture) + ".") {}

  bool has(std::string_view key) const { return find(key) != nullptr; }
  std::string name(std::string_view key) const { return prefix_ + std::string(key); }

  template <class... Args>
  void bad(std::string_view key, fmt::format_string<Args...> text, Args&&... args) {
    add(false, key, formatted(text, std::forward<Args>(args)...));
  }
  template <class... Args>
  void unsupported(std::string_view key, fmt::format_string<Args...> text, Args&&... args) {
    add(true, key, formatted(text, std::forward<Args>(args)...));
  }

  // 0 with a problem taken down.
  std::int64_t integer(std::string_view key) {
    const GgufValue* value = find(key);
    if (!value) {
      bad(key, "missing");
      return 0;
    }
    const std::optional<std::int64_t> found = value->integer();
    if (found && *found >= 0 && *found <= std::numeric_limits<std::int32_t>::max()) return *found;
    bad(key, "{}, wanted a whole number of 0 to {}", value->describe(), std::numeric_limits<std::int32_t>::max());
    return 0;
  }
  std::int64_t integer(std::string_view key, std::int64_t absent) { return has(key) ? integer(key) : absent; }
  double number(std::string_view key) {
    const GgufValue* value = find(key);
    if (!value) {
      bad(key, "missing");
      return 0;
    }
    const std::optional<double> found = value->number();
    if (found && std::isfinite(*found)) return *found;
    bad(key, "{}, wanted a number", value->describe());
    return 0;
  }
  double number(std::string_view key, double absent) { return has(key) ? number(key) : absent; }
  bool boolean(std::string_view key, bool absent) {
    const GgufValue* value = find(key);
    if (!value) return absent;
    if (const std::optional<bool> found = value->boolean()) return *found;
    bad(key, "{}, wanted true or false", value->describe());
    return absent;
  }
  std::string text(std::string_view key, std::string_view absent) {
    const GgufValue* value = find(key);
    if (!value) return std::string(absent);
    if (const std::optional<std::string_view> found = value->string()) return std::string(*found);
    bad(key, "{}, wanted a string", value->describe());
    return std::string(absent);
  }

  Status status() const {
    if (problems_.empty()) return {};
    return fail(only_unsupported_ ? Code::unsupported : Code::bad_file, "{}: {}", checkpoint_.first().file().name,
                problems_);
  }

 private:
  const GgufValue* find(std::string_view key) const { return checkpoint_.find_value(name(key)); }
  void add(bool is_unsupported, std::string_view key, const std::string& text) {
    only_unsupported_ = only_unsupported_ && is_unsupported;
    if (problems_.size() < 8192) problems_ += formatted("{}{}: {}", problems_.empty() ? "" : "; ", name(key), text);
  }

  const GgufCheckpoint& checkpoint_;
  std::string prefix_;
  std::string problems_;
  bool only_unsupported_ = true;
};

void read_mla(const GgufCheckpoint& checkpoint, Keys& keys, Json& json) {
  // key_length is dn + dr of each head where kv_b is one tensor. Files that split it state the cached row there and the
  // heads' own sizes in ..._mla.
  const bool split = keys.has("attention.key_length_mla") || keys.has("attention.value_length_mla");
  const char* key_name = split ? "attention.key_length_mla" : "attention.key_length";
  const std::int64_t rank = keys.integer("attention.kv_lora_rank"), rope = keys.integer("rope.dimension_count");
  const std::int64_t key = keys.integer(key_name);
  const std::int64_t value = keys.integer(split ? "attention.value_length_mla" : "attention.value_length");
  if (key > 0 && key <= rope)
    keys.bad(key_name, "{}, wanted more than the {} of {}", key, rope, keys.name("rope.dimension_count"));
  if (split) {
    const auto check = [&](const char* name, std::int64_t wanted) {
      if (const std::int64_t found = keys.integer(name, wanted); found != wanted)
        keys.bad(name, "{}, wanted {} beside {}", found, wanted, keys.name(key_name));
    };
    check("attention.key_length", rank + rope);
    check("attention.value_length", rank);
    check("attention.head_count_kv", 1);
  }
  json.set("kv_lora_rank", rank);
  json.set("qk_nope_head_dim", key - rope);
  json.set("qk_rope_head_dim", rope);
  json.set("v_head_dim", value);
  if (!checkpoint.find("blk.0.attn_q.weight")) json.set("q_lora_rank", keys.integer("attention.q_lora_rank"));
}

void read_gqa(const GgufCheckpoint& checkpoint, Keys& keys, std::string_view architecture, Json& json) {
  const std::int64_t heads = keys.integer("attention.head_count");
  json.set("num_key_value_heads", keys.integer("attention.head_count_kv", heads));
  if (keys.has("attention.key_length")) {
    const std::int64_t key = keys.integer("attention.key_length"), value = keys.integer("attention.value_length", key);
    json.set("head_dim", key);
    if (key != value) keys.unsupported("attention.value_length", "{}, the keys have {}", value, key);
  }
  if (architecture == "llama") json.set("attention_bias", checkpoint.find("blk.0.attn_q.bias") != nullptr);
  if (keys.integer("expert_count", 0) > 0) keys.unsupported("expert_count", "{} experts are not supported", architecture);
}

// The router of V2 and V3, told apart by the gating function. What old files lack is restored as published.
void read_moe(Keys& keys, Json& json, std::vector<std::string>& warnings) {
  const std::int64_t n_experts = keys.integer("expert_count", 0);
  const std::int64_t gating = keys.integer("expert_gating_func", 1);  // files of V2 have no such key
  if (gating > 2) keys.unsupported("expert_gating_func", "{} (1, softmax, and 2, sigmoid, are supported)", gating);
  const bool sigmoid = gating == 2;
  json.set("architectures", Json::Array{Json(sigmoid ? "DeepseekV3ForCausalLM" : "DeepseekV2ForCausalLM")});
  json.set("model_type", sigmoid ? "deepseek_v3" : "deepseek_v2");
  json.set("n_routed_experts", n_experts);
  if (n_experts == 0) return;
  json.set("n_shared_experts", keys.integer("expert_shared_count", 0));
  json.set("num_experts_per_tok", keys.integer("expert_used_count"));
  json.set("moe_intermediate_size", keys.integer("expert_feed_forward_length"));
  json.set("first_k_dense_replace", keys.integer("leading_dense_block_count", 0));
  json.set("routed_scaling_factor", keys.number("expert_weights_scale"));
  json.set("norm_topk_prob", keys.boolean("expert_weights_norm", sigmoid));
  json.set("scoring_func", sigmoid ? "sigmoid" : "softmax");
  std::int64_t n_group = 1, topk_group = 1;
  if (keys.has("expert_group_count")) {
    n_group = std::max<std::int64_t>(keys.integer("expert_group_count"), 1);  // 0 is "none" too
    topk_group = n_group > 1 ? keys.integer("expert_group_used_count") : 1;
  } else if (sigmoid && n_experts == 256) {
    n_group = 8, topk_group = 4;
  } else if (!sigmoid && n_experts == 160) {
    n_group = 8, topk_group = 3;
  }
  if (n_group > 1 && !keys.has("expert_group_count"))
    warnings.push_back(formatted("{} is missing: experts are routed in {} groups of which {} are kept, as {} is published",
                                   keys.name("expert_group_count"), n_group, topk_group,
                                   sigmoid ? "DeepSeek-V3" : "DeepSeek-V2"));
  json.set("n_group", n_group);
  json.set("topk_group", topk_group);
  json.set("topk_method", sigmoid ? "noaux_tc" : n_group > 1 ? "group_limited_greedy" : "greedy");
}

void read_rope(Keys& keys, bool mla, Json& json) {
  json.set("rope_theta", keys.number("rope.freq_base", 10000));
  // Without a type a factor is linear, and older files have it under another name (llama.cpp).
  const char* factor_key = !keys.has("rope.scaling.factor") && keys.has("rope.scale_linear") ? "rope.scale_linear"
                                                                                             : "rope.scaling.factor";
  const double plain_factor = keys.number(factor_key, 1);
  const bool scaled = keys.has(factor_key) && plain_factor != 0 && plain_factor != 1;
  const std::string type = keys.text("rope.scaling.type", scaled ? "linear" : "none");
  if (type == "none") return;
  Json scaling{Json::Object{{"rope_type", type}}};
  scaling.set("factor", keys.number(factor_key));
  if (type == "yarn") {
    scaling.set("original_max_position_embeddings", keys.integer("rope.scaling.original_context_length"));
    scaling.set("beta_fast", keys.number("rope.scaling.yarn_beta_fast", 32));
    scaling.set("beta_slow", keys.number("rope.scaling.yarn_beta_slow", 1));
    // 0.1 mscale_all_dim. mscale itself is not stored; it equals mscale_all_dim in every published model.
    const double mscale = 10 * keys.number("rope.scaling.yarn_log_multiplier", 0);
    // llama.cpp multiplies cos and sin by it, and by 0.1 ln(factor) + 1.
    const char* attention_key = keys.has("rope.scaling.yarn_attn_factor") ? "rope.scaling.yarn_attn_factor"
                                                                          : "rope.scaling.attn_factor";
    const double attention = keys.number(attention_key, 1), factor = keys.number(factor_key, 1);
    if (mla) {
      scaling.set("mscale", mscale);
      scaling.set("mscale_all_dim", mscale);
      if (attention != 1) keys.unsupported(attention_key, "{}: not supported for this architecture", attention);
    } else if (mscale != 0) {
      keys.unsupported("rope.scaling.yarn_log_multiplier", "not supported for this architecture");
    } else if (attention != 1) {
      scaling.set("attention_factor", attention * (factor > 1 ? 0.1 * std::log(factor) + 1 : 1));
    }
    if (keys.number("rope.scaling.yarn_ext_factor", 1) != 1) keys.unsupported("rope.scaling.yarn_ext_factor", "wanted 1");
  }
  json.set("rope_scaling", std::move(scaling));
}

// Tokens that end a turn by their text, as llama.cpp knows them (llama-vocab.cpp): files from before the keys for them lack
// those, Llama 3's among them, whose turns end in <|eot_id|> and whose eos is <|end_of_text|>.
constexpr std::string_view kTurnEnds[] = {"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>",
                                          "<|end_of_text|>", "<EOT>", "_<EOT>", "[EOT]", "<｜end▁of▁sentence｜>",
                                          "<end_of_utterance>"};
constexpr std::string_view kMessageEnds[] = {"<|eom_id|>"};

// Ids of control tokens with one of these texts.
void find_ends(const GgufCheckpoint& checkpoint, std::span<const std::string_view> texts, std::vector<std::int64_t>& ids) {
  const GgufValue *tokens = checkpoint.find_value("tokenizer.ggml.tokens"),
                  *kinds = checkpoint.find_value("tokenizer.ggml.token_type");
  const auto text = tokens ? tokens->strings() : std::nullopt;
  const auto type = kinds ? kinds->integers() : std::nullopt;
  if (!text || !type || text->size() != type->size()) return;
  constexpr std::int64_t kControl = 3;  // llama.h's enum llama_token_type
  for (std::size_t i = 0; i < text->size() && ids.size() < 64; ++i)  // no sound file has a text twice
    if ((*type)[i] == kControl && std::ranges::find(texts, (*text)[i]) != texts.end())
      ids.push_back(static_cast<std::int64_t>(i));
}

// The ids of tokenizer.ggml: eos ends a text, eot a turn, eom a message that calls a tool.
void read_tokens(const GgufCheckpoint& checkpoint, Json& json) {
  const auto id = [&](const char* key) -> std::optional<std::int64_t> {
    const GgufValue* value = checkpoint.find_value(std::string("tokenizer.ggml.") + key);
    return value ? value->integer() : std::nullopt;
  };
  if (const auto bos = id("bos_token_id")) json.set("bos_token_id", *bos);
  std::vector<std::int64_t> ids;
  for (const char* key : {"eos_token_id", "eot_token_id", "eom_token_id"})
    if (const auto end = id(key)) ids.push_back(*end);
  if (!id("eot_token_id")) find_ends(checkpoint, kTurnEnds, ids);
  if (!id("eom_token_id")) find_ends(checkpoint, kMessageEnds, ids);
  Json::Array ends;
  for (auto at = ids.begin(); at != ids.end(); ++at)
    if (std::find(ids.begin(), at, *at) == at) ends.push_back(Json(*at));
  if (!ends.empty()) json.set("eos_token_id", std::move(ends));
}

// Sizes of the model beside its layers: keys, else the tensors.
void read_sizes(const GgufCheckpoint& checkpoint, Keys& keys, Json& json) {
  for (const auto& [ours, gguf] : kIntegers) json.set(ours, keys.integer(gguf));
  json.set("rms_norm_eps", keys.number("attention.layer_norm_rms_epsilon"));
  // Where block_count has the layers for multi-token prediction, it counts them (llama.cpp's converters).
  const std::int64_t n_blocks = keys.integer("block_count"), n_mtp = keys.integer("nextn_predict_layers", 0);
  if (n_mtp > 0 && n_mtp >= n_blocks)
    keys.bad("nextn_predict_layers", "{} of {} layers ({})", n_mtp, n_blocks, keys.name("block_count"));
  json.set("num_hidden_layers", n_blocks - n_mtp);
  json.set("num_nextn_predict_layers", n_mtp);
  const GgufValue* tokens = checkpoint.find_value("tokenizer.ggml.tokens");
  const TensorInfo* embedding = checkpoint.find("token_embd.weight");
  if (keys.has("vocab_size")) json.set("vocab_size", keys.integer("vocab_size"));
  else if (tokens && tokens->is_array()) json.set("vocab_size", static_cast<std::int64_t>(tokens->count()));
  else if (embedding && embedding->shape.n_dims() == 2) json.set("vocab_size", embedding->shape[0]);
  json.set("tie_word_embeddings", checkpoint.find("output.weight") == nullptr);
}

bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.'; }

// A message about config.json with the names of the file's own keys.
std::string in_gguf_words(std::string text, const Keys& keys) {
  const auto replace = [&](const KeyPair& pair) {
    const std::string_view ours = pair.json;
    const std::string theirs = keys.name(pair.gguf);
    for (std::size_t at = 0; (at = text.find(ours, at)) != text.npos;) {
      const std::size_t end = at + ours.size();
      const bool whole = (at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end]));
      if (whole) text.replace(at, ours.size(), theirs);
      at = whole ? at + theirs.size() : end;
    }
  };
  for (const KeyPair& pair : kIntegers) replace(pair);
  for (const KeyPair& pair : kOthers) replace(pair);
  return text;
}

// Llama 3's scaling is in a tensor, not in keys: f_i is divided by element i.
Status read_divisors(const GgufCheckpoint& checkpoint, Config& config) {
  const TensorInfo* info = checkpoint.find("rope_freqs.weight");
  if (!info) return {};
  const Shape wanted{config.head_dim / 2};
  if (info->type != DType::f32 || !(info->shape == wanted))
    return fail(Code::bad_file, "rope_freqs.weight: {} {}, wanted F32 {}", dtype_name(info->type), info->shape.to_string(),
                wanted.to_string());
  for (const auto& part : checkpoint.parts())
    if (part->find(info->name) == info)
      PONDER_TRY(part->file().ensure(static_cast<std::size_t>(info->bytes.data() - part->file().bytes.data()), info->bytes.size()));
  for (std::size_t i = 0; i < info->bytes.size(); i += sizeof(float)) {
    float divisor = 0;
    std::memcpy(&divisor, info->bytes.data() + i, sizeof divisor);
    if (!(divisor >= 1e-6f && divisor <= 1e6f))
      return fail(Code::bad_file, "rope_freqs.weight: element {} is {}, wanted 1e-6 to 1e6", i / sizeof(float), divisor);
    config.rope_scaling.divisors.push_back(divisor);
  }
  return {};
}

}  // namespace

Result<GgufConfig> read_gguf_config(const GgufCheckpoint& checkpoint) {
  const std::string& file = checkpoint.first().file().name;
  const GgufValue* value = checkpoint.find_value("general.architecture");
  if (!value) return fail(Code::bad_file, "{}: general.architecture is missing", file);
  const std::optional<std::string_view> architecture = value->string();
  if (!architecture)
    return fail(Code::bad_file, "{}: general.architecture: {}, wanted a string", file, value->describe());
  if (*architecture != "deepseek2" && *architecture != "qwen2" && *architecture != "llama")
    return fail(Code::unsupported, "{}: general.architecture \"{}\" is not supported (deepseek2, qwen2 and llama are)", file,
                architecture->substr(0, 64));

  GgufConfig result;
  Keys keys(checkpoint, *architecture);
  Json& json = result.json;
  const bool mla = *architecture == "deepseek2";
  if (mla) {
    read_moe(keys, json, result.warnings);
  } else {
    json.set("architectures", Json::Array{Json(*architecture == "llama" ? "LlamaForCausalLM" : "Qwen2ForCausalLM")});
    json.set("model_type", *architecture);
  }
  read_sizes(checkpoint, keys, json);
  if (mla) read_mla(checkpoint, keys, json);
  else read_gqa(checkpoint, keys, *architecture, json);
  read_rope(keys, mla, json);
  read_tokens(checkpoint, json);
  // They change what the model computes, and none of the published models of these architectures has them.
  for (const char* key : {"attention.scale", "attention.clamp_kqv", "attention.temperature_scale", "logit_scale",
                          "embedding_scale", "residual_scale"})
    if (keys.has(key)) keys.unsupported(key, "not supported");
  PONDER_TRY(keys.status());

  Result<Config> config = Config::parse(json, file);
  if (!config.ok()) return Status(config.status().code(), in_gguf_words(config.status().message(), keys));
  result.config = std::move(config).value();
  if (!mla && keys.integer("rope.dimension_count", result.config.head_dim) != result.config.head_dim)
    keys.unsupported("rope.dimension_count", "{}, wanted all {} of a head", keys.integer("rope.dimension_count"),
                     result.config.head_dim);
  PONDER_TRY(keys.status());
  if (*architecture == "llama") {
    result.config.rope_interleave = true;  // rows of q and k are permuted so
    PONDER_TRY(read_divisors(checkpoint, result.config).with_prefix(file));
  }
  return result;
}

}  // namespace ponder::core
