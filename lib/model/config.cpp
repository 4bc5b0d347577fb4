#include "lib/model/config.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "lib/base/format.h"

namespace ponder::core {
namespace {

// Bounds far above any published model, low enough that no product of two sizes overflows int64.
constexpr std::int64_t kMaxWidth = std::int64_t{1} << 20;   // hidden_size and ranks
constexpr std::int64_t kMaxInner = std::int64_t{1} << 22;   // intermediate_size
constexpr std::int64_t kMaxVocab = std::int64_t{1} << 24;
constexpr std::int64_t kMaxLayers = 4096;
constexpr std::int64_t kMaxHeads = 65536;
constexpr std::int64_t kMaxHeadDim = 65536;
constexpr std::int64_t kMaxExperts = 65536;
constexpr double kMaxParameters = 1125899906842624.0;  // 2^50

// Reads keys of one object and collects what is wrong with them, so that one message names every problem.
class Reader {
 public:
  Reader(const Json& json, std::string prefix, Reader* parent = nullptr)
      : json_(json), prefix_(std::move(prefix)), root_(parent ? parent->root_ : this) {}

  template <class... Args>
  void bad(fmt::format_string<Args...> text, Args&&... args) {
    root_->add(false, prefix_ + formatted(text, std::forward<Args>(args)...));
  }
  template <class... Args>
  void unsupported(fmt::format_string<Args...> text, Args&&... args) {
    root_->add(true, prefix_ + formatted(text, std::forward<Args>(args)...));
  }

  // The value, or null when it is absent or JSON null.
  const Json* get(std::string_view key) const {
    const Json* value = json_.find(key);
    return value && !value->is_null() ? value : nullptr;
  }
  bool has(std::string_view key) const { return get(key) != nullptr; }

  std::int64_t integer(std::string_view key, std::int64_t min, std::int64_t max) {
    if (!get(key)) {
      bad("{} is missing", key);
      return min;
    }
    return integer(key, min, max, min);
  }
  std::int64_t integer(std::string_view key, std::int64_t min, std::int64_t max, std::int64_t absent) {
    const Json* value = get(key);
    if (!value) return absent;
    if (!value->is_int()) {
      bad("{} is a {}, wanted an integer", key, value->type_name());
      return min;
    }
    if (value->as_int() < min || value->as_int() > max) {
      bad("{} is {}, wanted {} to {}", key, value->as_int(), min, max);
      return min;
    }
    return value->as_int();
  }
  double number(std::string_view key, double min, double max, double absent) {
    const Json* value = get(key);
    if (!value) return absent;
    if (!value->is_number()) {
      bad("{} is a {}, wanted a number", key, value->type_name());
      return absent;
    }
    const double found = value->as_double();
    if (!std::isfinite(found) || found < min || found > max) {
      bad("{} is {}, wanted {} to {}", key, found, min, max);
      return absent;
    }
    return found;
  }
  bool boolean(std::string_view key, bool absent) {
    const Json* value = get(key);
    if (!value) return absent;
    if (!value->is_bool()) {
      bad("{} is a {}, wanted true or false", key, value->type_name());
      return absent;
    }
    return value->as_bool();
  }
  std::string text(std::string_view key, std::string_view absent) {
    const Json* value = get(key);
    if (!value) return std::string(absent);
    if (!value->is_string()) {
      bad("{} is a {}, wanted a string", key, value->type_name());
      return std::string(absent);
    }
    return value->as_string();
  }
  std::int32_t token(std::string_view key, const Json& value) {
    if (!value.is_int() || value.as_int() < 0 || value.as_int() > std::numeric_limits<std::int32_t>::max()) {
      bad("{} is no token id", key);
      return -1;
    }
    return static_cast<std::int32_t>(value.as_int());
  }
  std::vector<std::int32_t> tokens(std::string_view key) {  // one id or a list of ids
    std::vector<std::int32_t> ids;
    const Json* value = get(key);
    if (!value) return ids;
    if (!value->is_array()) {
      if (const std::int32_t id = token(key, *value); id >= 0) ids.push_back(id);
      return ids;
    }
    if (value->as_array().size() > 1024) {
      bad("{} has {} ids, wanted at most 1024", key, value->as_array().size());
      return ids;
    }
    for (const Json& item : value->as_array()) {
      const std::int32_t id = token(key, item);
      if (id < 0) break;
      ids.push_back(id);
    }
    return ids;
  }

  Status status(std::string_view file) const {
    if (problems_.empty()) return {};
    return fail(only_unsupported_ ? Code::unsupported : Code::bad_file, "{}: {}", file, problems_);
  }

 private:
  void add(bool is_unsupported, std::string text) {
    only_unsupported_ = only_unsupported_ && is_unsupported;
    if (problems_.size() > 8192) return;
    problems_ += (problems_.empty() ? "" : "; ") + std::move(text);
  }

  const Json& json_;
  std::string prefix_;
  Reader* root_;
  std::string problems_;
  bool only_unsupported_ = true;
};

// The dense families scale cos and sin alone (transformers, _compute_yarn_parameters): by attention_factor, else as DeepSeek
// where both mscales are given, else by 0.1 ln(factor) + 1. Kept as the mscale that says the same.
void read_yarn_factor(Reader& r, RopeScaling& rope) {
  const double log = rope.factor > 1 ? 0.1 * std::log(rope.factor) : 0;
  if (r.has("attention_factor")) {
    const double wanted = r.number("attention_factor", 1e-3, 1e3, 1);
    if (log == 0 && wanted != 1) r.unsupported("attention_factor {} with a factor of {} is not supported", wanted, rope.factor);
    rope.mscale = log == 0 ? 1 : (wanted - 1) / log;
  } else if (rope.mscale != 0 && rope.mscale_all_dim != 0) {
    rope.mscale = log == 0 ? 1 : ((log * rope.mscale + 1) / (log * rope.mscale_all_dim + 1) - 1) / log;
  } else {
    rope.mscale = 1;
  }
  rope.mscale_all_dim = 0;
}

void read_rope(Reader& keys, const Json* scaling, Config& config) {
  config.rope_theta = keys.number("rope_theta", 1.0001, 1e15, 10000);
  if (!scaling) return;
  if (!scaling->is_object()) {
    keys.bad("rope_scaling is a {}, wanted an object", scaling->type_name());
    return;
  }
  Reader r(*scaling, "rope_scaling.", &keys);
  config.rope_theta = r.number("rope_theta", 1.0001, 1e15, config.rope_theta);  // transformers >= 5
  RopeScaling& rope = config.rope_scaling;
  const std::string type = r.has("rope_type") ? r.text("rope_type", "") : r.text("type", "default");
  if (type == "default") return;
  if (type != "yarn" && type != "llama3" && type != "linear") {
    r.unsupported("type \"{}\" is not supported (yarn, llama3 and linear are)", type.substr(0, 64));
    return;
  }
  if (!r.has("factor")) r.bad("factor is missing");
  rope.factor = r.number("factor", 1e-3, 1e6, 1);
  if (type == "linear") {
    if (config.is_mla()) r.unsupported("type \"linear\" is not supported for {}", config.architecture_name);
    rope.type = RopeScalingType::linear;
    return;
  }
  const double fallback = static_cast<double>(config.max_position_embeddings);
  rope.original_max_position_embeddings = r.number("original_max_position_embeddings", 1, 1e9, fallback);
  if (type == "yarn") {
    rope.type = RopeScalingType::yarn;
    rope.beta_fast = r.number("beta_fast", 1e-3, 1e6, 32);
    rope.beta_slow = r.number("beta_slow", 1e-3, 1e6, 1);
    rope.mscale = r.number("mscale", 0, 1e3, 1);
    rope.mscale_all_dim = r.number("mscale_all_dim", 0, 1e3, 0);
    if (!r.boolean("truncate", true)) r.unsupported("truncate false is not supported");
    if (config.is_mla()) {
      if (r.has("attention_factor")) r.unsupported("attention_factor is not supported for {}", config.architecture_name);
    } else {
      read_yarn_factor(r, rope);
    }
  } else {
    if (config.is_mla()) r.unsupported("type \"llama3\" is not supported for {}", config.architecture_name);
    rope.type = RopeScalingType::llama3;
    rope.low_freq_factor = r.number("low_freq_factor", 1e-6, 1e6, 1);
    rope.high_freq_factor = r.number("high_freq_factor", 1e-6, 1e6, 4);
    if (rope.high_freq_factor <= rope.low_freq_factor) r.bad("high_freq_factor must be above low_freq_factor");
  }
}

void read_mla(Reader& keys, Config& config) {
  config.attention_bias = keys.boolean("attention_bias", false);
  config.num_key_value_heads = config.num_attention_heads;  // meaningless for MLA
  config.q_lora_rank = keys.integer("q_lora_rank", 0, kMaxWidth, 0);
  config.kv_lora_rank = keys.integer("kv_lora_rank", 1, kMaxWidth);
  config.qk_nope_head_dim = keys.integer("qk_nope_head_dim", 1, kMaxHeadDim);
  config.qk_rope_head_dim = keys.integer("qk_rope_head_dim", 2, kMaxHeadDim);
  config.v_head_dim = keys.integer("v_head_dim", 1, kMaxHeadDim);
  if (config.qk_rope_head_dim % 2 != 0) keys.bad("qk_rope_head_dim is {}, wanted an even size", config.qk_rope_head_dim);
  if (!keys.boolean("rope_interleave", true)) keys.unsupported("rope_interleave false is not supported");
}

void read_gqa(Reader& keys, Config& config) {
  const std::int64_t heads = config.num_attention_heads;
  config.num_key_value_heads = keys.integer("num_key_value_heads", 1, kMaxHeads, heads);
  if (heads % config.num_key_value_heads != 0)
    keys.bad("num_attention_heads {} is no multiple of num_key_value_heads {}", heads, config.num_key_value_heads);
  if (keys.has("head_dim")) {
    config.head_dim = keys.integer("head_dim", 2, kMaxHeadDim);
  } else {
    config.head_dim = config.hidden_size / heads;
    if (config.hidden_size % heads != 0)
      keys.bad("hidden_size {} is no multiple of num_attention_heads {}", config.hidden_size, heads);
  }
  if (config.head_dim < 2 || config.head_dim % 2 != 0 || config.head_dim > kMaxHeadDim)
    keys.bad("head_dim is {}, wanted an even size of 2 to {}", config.head_dim, kMaxHeadDim);
  // llama: biases of q, k, v and o. qwen2 always has those of q, k and v, whatever the key says.
  if (config.architecture == Architecture::llama) config.attention_bias = keys.boolean("attention_bias", false);
  if (keys.number("partial_rotary_factor", 0, 1, 1) != 1) keys.unsupported("partial_rotary_factor is not supported");
  if (keys.boolean("mlp_bias", false)) keys.unsupported("mlp_bias true is not supported");
  if (keys.boolean("use_sliding_window", false)) keys.unsupported("use_sliding_window true is not supported");
}

void read_moe(Reader& keys, Config& config) {
  const bool v3 = config.architecture == Architecture::deepseek_v3;
  config.n_routed_experts = keys.integer("n_routed_experts", 0, kMaxExperts, 0);
  if (config.n_routed_experts == 0) return;  // every layer is dense
  const std::int64_t n_experts = config.n_routed_experts;
  config.n_shared_experts = keys.integer("n_shared_experts", 0, 4096, 0);
  config.num_experts_per_tok = keys.integer("num_experts_per_tok", 1, kMaxExperts);
  config.moe_intermediate_size = keys.integer("moe_intermediate_size", 1, kMaxInner);
  config.first_k_dense_replace = keys.integer("first_k_dense_replace", 0, kMaxLayers, v3 ? 3 : 0);
  config.moe_layer_freq = keys.integer("moe_layer_freq", 1, kMaxLayers, 1);
  config.norm_topk_prob = keys.boolean("norm_topk_prob", v3);
  config.routed_scaling_factor = keys.number("routed_scaling_factor", 0, 1e6, v3 ? 2.5 : 1.0);

  const std::string scoring = keys.text("scoring_func", v3 ? "sigmoid" : "softmax");
  config.scoring_func = scoring == "sigmoid" ? ScoringFunc::sigmoid : ScoringFunc::softmax;
  if (scoring != (v3 ? "sigmoid" : "softmax"))
    keys.unsupported("scoring_func \"{}\" is not supported for {}", scoring.substr(0, 64), config.architecture_name);

  const std::string method = keys.text("topk_method", v3 ? "noaux_tc" : "greedy");
  if (v3 && method == "noaux_tc") config.topk_method = TopkMethod::noaux_tc;
  else if (!v3 && method == "greedy") config.topk_method = TopkMethod::greedy;
  else if (!v3 && method == "group_limited_greedy") config.topk_method = TopkMethod::group_limited_greedy;
  else keys.unsupported("topk_method \"{}\" is not supported for {}", method.substr(0, 64), config.architecture_name);

  if (config.topk_method == TopkMethod::greedy) {  // ungrouped: n_group and topk_group have no meaning
    if (config.num_experts_per_tok > n_experts)
      keys.bad("num_experts_per_tok is {}, wanted at most n_routed_experts {}", config.num_experts_per_tok, n_experts);
    return;
  }
  config.n_group = keys.integer("n_group", 1, kMaxExperts, v3 ? 8 : 1);
  config.topk_group = keys.integer("topk_group", 1, kMaxExperts, v3 ? 4 : 1);
  if (n_experts % config.n_group != 0) {
    keys.bad("n_routed_experts {} is no multiple of n_group {}", n_experts, config.n_group);
    return;
  }
  const std::int64_t group_size = n_experts / config.n_group;
  if (config.topk_group > config.n_group)
    keys.bad("topk_group is {}, wanted at most n_group {}", config.topk_group, config.n_group);
  else if (config.num_experts_per_tok > config.topk_group * group_size)
    keys.bad("num_experts_per_tok is {}, wanted at most {} (topk_group {} of {} experts)", config.num_experts_per_tok,
             config.topk_group * group_size, config.topk_group, group_size);
  if (config.topk_method == TopkMethod::noaux_tc && config.n_group > 1 && group_size < 2)
    keys.bad("n_group is {}, wanted groups of at least 2 of {} experts", config.n_group, n_experts);
}

void read_quantization(Reader& keys, Config& config) {
  const Json* quantization = keys.get("quantization_config");
  if (!quantization) return;
  if (!quantization->is_object()) {
    keys.bad("quantization_config is a {}, wanted an object", quantization->type_name());
    return;
  }
  Reader q(*quantization, "quantization_config.", &keys);
  const std::string method = q.text("quant_method", "");
  if (method != "fp8") {
    q.unsupported("quant_method \"{}\" is not supported (fp8 is)", method.substr(0, 64));
    return;
  }
  if (const std::string fmt = q.text("fmt", "e4m3"); fmt != "e4m3")
    q.unsupported("fmt \"{}\" is not supported (e4m3 is)", fmt.substr(0, 64));
  if (const std::string scheme = q.text("activation_scheme", "dynamic"); scheme != "dynamic")
    q.unsupported("activation_scheme \"{}\" is not supported (dynamic is)", scheme.substr(0, 64));
  const Json* block = q.get("weight_block_size");
  const Json wanted(Json::Array{Json(128), Json(128)});
  if (!block || !(*block == wanted)) q.unsupported("weight_block_size is not [128, 128]");
  config.fp8_blocks = true;
}

// The first of "architectures"; a config saved without a model around it has only "model_type".
Result<std::string> read_architecture(const Json& json) {
  const Json* names = json.find("architectures");
  if (!names || names->is_null()) {
    const Json* type = json.find("model_type");
    const std::string_view name = type && type->is_string() ? std::string_view(type->as_string()) : "";
    if (name == "deepseek_v2") return std::string("DeepseekV2ForCausalLM");
    if (name == "deepseek_v3") return std::string("DeepseekV3ForCausalLM");
    if (name == "qwen2") return std::string("Qwen2ForCausalLM");
    if (name == "llama") return std::string("LlamaForCausalLM");
    return fail(Code::bad_file, "config.json: architectures is missing, and model_type \"{}\" does not tell it",
                name.substr(0, 128));
  }
  if (!names->is_array() || names->as_array().empty() || !names->as_array()[0].is_string())
    return fail(Code::bad_file, "config.json: architectures is no list of names");
  return names->as_array()[0].as_string();
}

double n_parameters_estimate(const Config& c) {
  const double d = static_cast<double>(c.hidden_size);
  const double heads = static_cast<double>(c.num_attention_heads);
  double attention;
  if (c.is_mla()) {
    const double q_out = heads * static_cast<double>(c.qk_head_dim());
    const double q_rank = static_cast<double>(c.q_lora_rank), kv_rank = static_cast<double>(c.kv_lora_rank);
    attention = (c.q_lora_rank > 0 ? q_rank * (d + q_out) : d * q_out) +
                d * (kv_rank + static_cast<double>(c.qk_rope_head_dim)) +
                kv_rank * heads * static_cast<double>(c.qk_nope_head_dim + c.v_head_dim) +
                d * heads * static_cast<double>(c.v_head_dim);
  } else {
    attention = 2 * d * (heads + static_cast<double>(c.num_key_value_heads)) * static_cast<double>(c.head_dim);
  }
  const double dense = 3 * d * static_cast<double>(c.intermediate_size);
  const double n_experts = static_cast<double>(c.n_routed_experts + c.n_shared_experts);
  const double moe = n_experts * 3 * d * static_cast<double>(c.moe_intermediate_size);
  return 2 * d * static_cast<double>(c.vocab_size) +
         static_cast<double>(c.num_hidden_layers + 1) * (attention + std::max(dense, moe));
}

}  // namespace

Result<Config> Config::parse(const Json& json, std::string_view what) {
  if (!json.is_object()) return fail(Code::bad_file, "{}: is a {}, wanted an object", what, json.type_name());
  Config config;
  PONDER_ASSIGN(config.architecture_name, read_architecture(json));
  if (config.architecture_name == "DeepseekV2ForCausalLM") config.architecture = Architecture::deepseek_v2;
  else if (config.architecture_name == "DeepseekV3ForCausalLM") config.architecture = Architecture::deepseek_v3;
  else if (config.architecture_name == "Qwen2ForCausalLM") config.architecture = Architecture::qwen2;
  else if (config.architecture_name == "LlamaForCausalLM") config.architecture = Architecture::llama;
  else
    return fail(Code::unsupported,
                "config.json: architectures \"{}\" is not supported (DeepseekV2ForCausalLM, DeepseekV3ForCausalLM, "
                "Qwen2ForCausalLM and LlamaForCausalLM are)", config.architecture_name.substr(0, 128));

  Reader keys(json, "");
  config.model_type = keys.text("model_type", "");
  config.torch_dtype = keys.has("torch_dtype") ? keys.text("torch_dtype", "") : keys.text("dtype", "");
  config.vocab_size = keys.integer("vocab_size", 1, kMaxVocab);
  config.hidden_size = keys.integer("hidden_size", 1, kMaxWidth);
  config.intermediate_size = keys.integer("intermediate_size", 1, kMaxInner);
  config.num_hidden_layers = keys.integer("num_hidden_layers", 1, kMaxLayers);
  config.num_attention_heads = keys.integer("num_attention_heads", 1, kMaxHeads);
  config.max_position_embeddings = keys.integer("max_position_embeddings", 1, std::int64_t{1} << 30, 2048);
  config.rms_norm_eps = keys.number("rms_norm_eps", 0, 1, 1e-6);
  config.tie_word_embeddings = keys.boolean("tie_word_embeddings", false);
  if (const std::string act = keys.text("hidden_act", "silu"); act != "silu")
    keys.unsupported("hidden_act \"{}\" is not supported (silu is)", act.substr(0, 64));
  if (config.is_mla()) {
    read_mla(keys, config);
    read_moe(keys, config);
    config.num_nextn_predict_layers = keys.integer("num_nextn_predict_layers", 0, 16, 0);
  } else {
    read_gqa(keys, config);
  }
  const Json* scaling = keys.get("rope_scaling");
  read_rope(keys, scaling ? scaling : keys.get("rope_parameters"), config);
  read_quantization(keys, config);
  if (const Json* bos = keys.get("bos_token_id")) config.bos_token_id = keys.token("bos_token_id", *bos);
  config.eos_token_ids = keys.tokens("eos_token_id");
  if (n_parameters_estimate(config) > kMaxParameters) keys.bad("the sizes make a model of more than 2^50 parameters");
  PONDER_TRY(keys.status(what));
  return config;
}

Result<GenerationConfig> GenerationConfig::parse(const Json& json) {
  if (!json.is_object())
    return fail(Code::bad_file, "generation_config.json: is a {}, wanted an object", json.type_name());
  GenerationConfig config;
  Reader keys(json, "");
  config.eos_token_ids = keys.tokens("eos_token_id");
  config.do_sample = keys.boolean("do_sample", false);
  config.temperature = keys.number("temperature", 0, 1e6, -1);
  config.top_p = keys.number("top_p", 0, 1, -1);
  config.top_k = keys.integer("top_k", 0, std::int64_t{1} << 31, -1);
  config.max_new_tokens = keys.integer("max_new_tokens", 0, std::int64_t{1} << 40, -1);
  PONDER_TRY(keys.status("generation_config.json"));
  return config;
}

}  // namespace ponder::core
