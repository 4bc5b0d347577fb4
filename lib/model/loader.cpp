#include "lib/model/loader.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <unordered_set>
#include <utility>

#include "lib/base/format.h"
#include "lib/io/json.h"
#include "lib/io/safetensors.h"

namespace ponder::core {
namespace {

constexpr std::size_t kListedNames = 20;    // problems and surplus tensors named in a message
constexpr std::size_t kMaxProblems = 4096;  // a wholly different checkpoint is not searched to its end

std::size_t to_size(std::int64_t n) { return static_cast<std::size_t>(n); }

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
  w.kv_b_proj = s.matrix(at + "kv_b_proj.weight", heads * (c.qk_nope_head_dim + c.v_head_dim), c.kv_lora_rank, kind);
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
    bind_mlp(s, fmt::format("{}experts.{}.", at, e), c.hidden_size, c.moe_intermediate_size, Component::routed_experts,
             w.experts.back());
  }
  if (c.n_shared_experts > 0)
    bind_mlp(s, at + "shared_experts.", c.hidden_size, c.n_shared_experts * c.moe_intermediate_size,
             Component::shared_experts, w.shared_experts);
}

void bind_layer(const Config& c, const Scope& s, std::int64_t layer, bool is_moe, LayerWeights& w) {
  const std::string at = fmt::format("model.layers.{}.", layer);
  w.input_layernorm = s.vector(at + "input_layernorm.weight", c.hidden_size, Component::norms);
  if (c.is_mla()) bind_mla(c, s, at + "self_attn.", w.self_attn);
  else bind_gqa(c, s, at + "self_attn.", w.self_attn);
  w.post_attention_layernorm = s.vector(at + "post_attention_layernorm.weight", c.hidden_size, Component::norms);
  if (is_moe) bind_moe(c, s, at + "mlp.", w.moe);
  else bind_mlp(s, at + "mlp.", c.hidden_size, c.intermediate_size, Component::dense_ffn, w.mlp);
}

void bind_mtp(const Config& c, const Scope& s, ModelWeights& weights) {
  const std::string at = fmt::format("model.layers.{}.", c.num_hidden_layers);
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

// Finds tensors in a checkpoint and keeps account of what is missing, wrong or not used.
class CheckpointBinder final : public TensorBinder {
 public:
  CheckpointBinder(const Checkpoint& checkpoint, const LoadOptions& options, bool with_data, ModelWeights& weights)
      : checkpoint_(checkpoint), options_(options), with_data_(with_data), weights_(weights) {
    for (const UnusableTensor& tensor : checkpoint.unusable()) unusable_.emplace(tensor.name, tensor.reason);
  }

  // FP8 or not is decided per tensor, by its dtype.
  Weight matrix(const std::string& name, std::int64_t n_out, std::int64_t n_in, Component component) override {
    const TensorInfo* info = want(name, Shape{n_out, n_in});
    if (!info) return {};
    Weight weight;
    weight.type = info->type;
    weight.data = info->bytes.data();
    weight.n_out = to_size(n_out);
    weight.n_in = to_size(n_in);
    const bool is_fp8 = info->type == DType::f8_e4m3;
    if (!is_fp8 && info->type != DType::bf16 && info->type != DType::f16 && info->type != DType::f32) {
      problem(fmt::format("{}: dtype {}, wanted BF16, F16, F32 or F8_E4M3", name, dtype_name(info->type)));
      return {};
    }
    bound(*info, component, n_out * n_in);
    if (is_fp8) {
      const TensorInfo* scale = want(name + "_scale_inv", Shape{(n_out + 127) / 128, (n_in + 127) / 128});
      if (!scale) return {};
      if (scale->type != DType::f32) {
        problem(fmt::format("{}: dtype {}, wanted F32", scale->name, dtype_name(scale->type)));
        return {};
      }
      bound(*scale, component, 0);
      weight.scale_inv = aligned_scales(*scale);
    }
    return weight;
  }

  const float* vector(const std::string& name, std::int64_t n, Component component) override {
    const TensorInfo* info = want(name, Shape{n});
    if (!info) return nullptr;
    if (info->type != DType::f32 && info->type != DType::bf16 && info->type != DType::f16) {
      problem(fmt::format("{}: dtype {}, wanted F32, BF16 or F16", name, dtype_name(info->type)));
      return nullptr;
    }
    bound(*info, component, n);
    if (!with_data_) return nullptr;
    float* copy = allocate_floats(to_size(n));
    if (!copy) return nullptr;
    const std::byte* from = info->bytes.data();
    for (std::size_t i = 0; i < to_size(n); ++i) {
      std::uint16_t half = 0;
      if (info->type == DType::f32) std::memcpy(copy + i, from + 4 * i, 4);
      else std::memcpy(&half, from + 2 * i, 2);
      if (info->type == DType::bf16) copy[i] = bf16_to_f32(half);
      if (info->type == DType::f16) copy[i] = f16_to_f32(half);
    }
    return copy;
  }

  bool has(const std::string& name) const override { return checkpoint_.find(name) != nullptr; }
  bool go_on() override { return status_.ok() && n_problems_ < kMaxProblems; }

  // Calls the host's progress; `fraction` never falls.
  bool report(float fraction) {
    if (!status_.ok()) return false;
    fraction = std::clamp(fraction, fraction_, 1.0f);
    fraction_ = fraction;
    if (options_.progress && !options_.progress(fraction)) status_ = Status(Code::cancelled, "the load was cancelled");
    return status_.ok();
  }

  Status status() const {
    PONDER_TRY(Status(status_));
    if (n_problems_ == 0) return {};
    std::string text;
    for (const std::string& line : problems_) text += (text.empty() ? "" : "; ") + line;
    if (n_problems_ > problems_.size())
      text += fmt::format("; and {}{} more", n_problems_ >= kMaxProblems ? "at least " : "",
                          n_problems_ - problems_.size());
    return fail(Code::bad_file, "{}{} tensors missing or not as config.json wants them: {}",
                n_problems_ >= kMaxProblems ? "at least " : "", n_problems_, text);
  }

  void warn_surplus(const Config& config, std::vector<std::string>& warnings) const {
    std::vector<std::string> other;
    std::size_t n_inv_freq = 0, n_mtp = 0;
    std::int64_t first_mtp = std::numeric_limits<std::int64_t>::max();
    for (const TensorInfo* info : checkpoint_.tensors()) {
      if (used_.count(info)) continue;
      if (info->name.ends_with("rotary_emb.inv_freq")) {
        ++n_inv_freq;
      } else if (const std::int64_t layer = layer_of(info->name); layer >= config.num_hidden_layers) {
        ++n_mtp;
        first_mtp = std::min(first_mtp, layer);
      } else if (info->name == "lm_head.weight") {
        warnings.push_back("lm_head.weight is not used: tie_word_embeddings makes embed_tokens the head");
      } else {
        other.push_back(fmt::format("{} is not used", info->name));
      }
    }
    for (const auto& [name, reason] : unusable_) other.push_back(fmt::format("{} is not used: {}", name, reason));
    if (n_inv_freq) warnings.push_back(fmt::format("{} rotary_emb.inv_freq tensors are not used", n_inv_freq));
    if (n_mtp)
      warnings.push_back(
          fmt::format("{} tensors of layers from {} on (multi-token prediction) are not used", n_mtp, first_mtp));
    for (std::size_t i = 0; i < other.size() && i < kListedNames; ++i) warnings.push_back(other[i]);
    if (other.size() > kListedNames)
      warnings.push_back(fmt::format("and {} more tensors are not used", other.size() - kListedNames));
  }

  const std::vector<BoundTensor>& tensors() const { return bound_; }

 private:
  static std::int64_t layer_of(std::string_view name) {  // -1: not in a layer
    constexpr std::string_view prefix = "model.layers.";
    if (!name.starts_with(prefix)) return -1;
    std::int64_t layer = -1;
    for (const char c : name.substr(prefix.size())) {
      if (c < '0' || c > '9' || layer > 100000) break;
      layer = std::max<std::int64_t>(layer, 0) * 10 + (c - '0');
    }
    return layer;
  }

  void problem(std::string text) {
    if (problems_.size() < kListedNames) problems_.push_back(std::move(text));
    ++n_problems_;
  }

  const TensorInfo* want(const std::string& name, const Shape& shape) {
    if (!go_on()) return nullptr;
    const TensorInfo* info = checkpoint_.find(name);
    if (!info) {
      const auto reason = unusable_.extract(name);
      problem(fmt::format("{}: {}, wanted {}", name, reason ? reason.mapped() : "missing", shape.to_string()));
      return nullptr;
    }
    used_.insert(info);
    if (!(info->shape == shape)) {
      problem(fmt::format("{}: shape {}, wanted {}", name, info->shape.to_string(), shape.to_string()));
      return nullptr;
    }
    return info;
  }

  void bound(const TensorInfo& info, Component component, std::int64_t n_parameters) {
    bound_.push_back({component, info.type, n_parameters, static_cast<std::int64_t>(info.bytes.size())});
    if (bound_.size() % 16 == 0)
      report(0.05f + 0.8f * static_cast<float>(bound_.size()) / static_cast<float>(checkpoint_.tensors().size()));
  }

  const float* aligned_scales(const TensorInfo& scale) {
    if (!with_data_) return nullptr;
    if (reinterpret_cast<std::uintptr_t>(scale.bytes.data()) % alignof(float) == 0)
      return reinterpret_cast<const float*>(scale.bytes.data());
    float* copy = allocate_floats(scale.bytes.size() / 4);
    if (copy) std::memcpy(copy, scale.bytes.data(), scale.bytes.size());
    return copy;
  }

  float* allocate_floats(std::size_t n) {
    Result<Buffer> buffer = Buffer::allocate(n * sizeof(float));
    if (!buffer.ok()) {
      status_ = buffer.status();
      return nullptr;
    }
    weights_.owned.push_back(std::move(buffer).value());
    return weights_.owned.back().as<float>();
  }

  const Checkpoint& checkpoint_;
  const LoadOptions& options_;
  bool with_data_;
  ModelWeights& weights_;
  std::unordered_set<const TensorInfo*> used_;
  std::map<std::string_view, std::string_view> unusable_;  // name, reason; without those that were wanted
  std::vector<BoundTensor> bound_;
  std::vector<std::string> problems_;
  std::size_t n_problems_ = 0;
  float fraction_ = 0;
  Status status_;
};

Result<Json> read_json(const FileSource& source, std::string_view name) {
  PONDER_ASSIGN(FileView file, source.open(name));
  return parse_json(file.text(), name);
}

bool wants_mtp(const Config& config, const Checkpoint& checkpoint) {
  if (config.num_nextn_predict_layers == 0) return false;
  const std::string at = fmt::format("model.layers.{}.", config.num_hidden_layers);
  for (const char* name : {"eh_proj.weight", "enorm.weight", "hnorm.weight"})
    if (checkpoint.find(at + name)) return true;
  return false;
}

void warn_mtp(const Config& config, bool has_mtp, std::vector<std::string>& warnings) {
  if (config.num_nextn_predict_layers > 0 && !has_mtp)
    warnings.push_back("num_nextn_predict_layers is set, but the checkpoint has no such layer");
  if (config.num_nextn_predict_layers > 1)
    warnings.push_back(
        fmt::format("num_nextn_predict_layers is {}, only the first such layer is used", config.num_nextn_predict_layers));
}

void add_unique(std::vector<std::int32_t>& ids, const std::vector<std::int32_t>& more) {
  for (const std::int32_t id : more)
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
}

// The built-in format for a model without a template of its own, or "" when there is none. All but V2's need the turn markers
// of DeepSeek in the tokenizer: others were trained on another format. A V3 architecture with <think> is R1's (V3's first
// tokenizer lacks it; V3.1 has it, but brings a template); Qwen2 and Llama with the markers are R1's distills; V2 with them is
// V2.5, which has V3's format. Base models have the same tokenizers, so they are given a format too, though raw prompts suit
// them better.
std::string_view builtin_template(Architecture architecture, const Tokenizer& tokenizer) {
  const bool markers = tokenizer.find("<｜User｜>") && tokenizer.find("<｜Assistant｜>");
  switch (architecture) {
    case Architecture::deepseek_v3: return !markers ? "" : tokenizer.find("<think>") ? "deepseek-r1" : "deepseek-v3";
    case Architecture::qwen2:
    case Architecture::llama: return markers ? "r1-distill" : "";
    case Architecture::deepseek_v2: return markers ? "deepseek-v3" : tokenizer.find("<｜end▁of▁sentence｜>") ? "deepseek-v2" : "";
  }
  return "";
}

}  // namespace

void bind_weights(const Config& config, bool with_mtp, TensorBinder& binder, ModelWeights& weights) {
  const Scope s{binder};
  weights.embed_tokens =
      s.matrix("model.embed_tokens.weight", config.vocab_size, config.hidden_size, Component::embedding);
  weights.layers.reserve(to_size(config.num_hidden_layers));
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

Result<std::shared_ptr<const Model>> ModelLoader::load(const FileSource& source, const LoadOptions& options) {
  std::shared_ptr<Model> model(new Model);
  PONDER_TRY(source.check());
  PONDER_ASSIGN(const Json json, read_json(source, "config.json"));
  PONDER_ASSIGN(model->config_, Config::parse(json));
  Config& config = model->config_;
  PONDER_ASSIGN(const Checkpoint checkpoint, Checkpoint::open(source));

  CheckpointBinder binder(checkpoint, options, true, model->weights_);
  binder.report(0);
  const bool has_mtp = wants_mtp(config, checkpoint);
  bind_weights(config, has_mtp && options.load_mtp, binder, model->weights_);
  PONDER_TRY(binder.status());
  binder.warn_surplus(config, model->report_.warnings);
  warn_mtp(config, has_mtp, model->report_.warnings);
  model->summary_ = summarize(config, binder.tensors());
  for (const auto& shard : checkpoint.shards()) model->weights_.mappings.push_back(shard);

  if (source.exists("generation_config.json")) {
    PONDER_ASSIGN(const Json generation, read_json(source, "generation_config.json"));
    PONDER_ASSIGN(model->generation_config_, GenerationConfig::parse(generation));
  }
  std::vector<std::int32_t> eos = model->generation_config_.eos_token_ids;
  add_unique(eos, config.eos_token_ids);
  config.eos_token_ids = std::move(eos);

  Fingerprint fingerprint;
  fingerprint.add(dump_json(json));
  for (const TensorInfo* info : checkpoint.tensors())
    fingerprint.add_tensor(info->name, info->type, info->shape, info->bytes.data(), info->bytes.size());
  model->fingerprint_ = fingerprint.value();
  if (binder.report(0.9f)) PONDER_TRY(load_text(source, *model));
  binder.report(1);
  PONDER_TRY(binder.status());
  return std::shared_ptr<const Model>(std::move(model));
}

Result<ModelInspection> ModelLoader::inspect(const FileSource& source) {
  ModelInspection inspection;
  PONDER_TRY(source.check());
  PONDER_ASSIGN(const Json json, read_json(source, "config.json"));
  PONDER_ASSIGN(inspection.config, Config::parse(json));
  if (!Checkpoint::exists(source)) {
    inspection.summary = summarize(inspection.config, expected_tensors(inspection.config));
    inspection.report.warnings.push_back(
        fmt::format("{}: no weights here; sizes are what config.json makes of them", source.describe()));
    return inspection;
  }
  PONDER_ASSIGN(const Checkpoint checkpoint, Checkpoint::open(source));
  ModelWeights weights;
  const LoadOptions options;
  CheckpointBinder binder(checkpoint, options, false, weights);
  const bool has_mtp = wants_mtp(inspection.config, checkpoint);
  bind_weights(inspection.config, has_mtp, binder, weights);
  PONDER_TRY(binder.status());
  binder.warn_surplus(inspection.config, inspection.report.warnings);
  warn_mtp(inspection.config, has_mtp, inspection.report.warnings);
  inspection.summary = summarize(inspection.config, binder.tensors());
  return inspection;
}

// Tokenizer and chat template. Only a broken tokenizer.json fails the load; token ids work without the rest.
Status ModelLoader::load_text(const FileSource& source, Model& model) {
  if (!source.exists("tokenizer.json")) {
    model.tokenizer_status_ = fail(Code::no_tokenizer, "{}: tokenizer.json is missing", source.describe());
    model.chat_template_status_ = model.tokenizer_status_;
    return {};
  }
  PONDER_ASSIGN(const FileView tokenizer_file, source.open("tokenizer.json"));
  FileView config_file;
  if (source.exists("tokenizer_config.json")) {
    PONDER_ASSIGN(config_file, source.open("tokenizer_config.json"));
  }
  PONDER_ASSIGN(model.tokenizer_, Tokenizer::load({tokenizer_file.text(), config_file.text()}));

  Result<std::shared_ptr<const ChatTemplate>> own = ChatTemplate::load(source);
  if (own.ok()) {
    model.chat_template_ = std::move(own).value();
    return {};
  }
  const std::string_view name = builtin_template(model.config_.architecture, *model.tokenizer_);
  if (own.status().code() != Code::not_found)
    model.report_.warnings.push_back(fmt::format("the checkpoint's chat template cannot be used{}: {}",
                                                 name.empty() ? "" : fmt::format(", the built-in {} is", name),
                                                 own.status().message()));
  if (name.empty()) {
    model.chat_template_status_ = own.status();
  } else {
    PONDER_ASSIGN(model.chat_template_, ChatTemplate::builtin(name));
  }
  return {};
}

}  // namespace ponder::core
