#include "lib/model/loader.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "lib/base/format.h"
#include "lib/io/gguf.h"
#include "lib/io/json.h"
#include "lib/io/safetensors.h"
#include "lib/model/file_binder.h"
#include "lib/model/gguf_config.h"
#include "lib/text/pattern.h"
#include "lib/text/tokenizer_gguf.h"

namespace ponder::core {
namespace {

Result<Json> read_json(const FileSource& source, std::string_view name) {
  PONDER_ASSIGN(FileView file, source.open(name));
  return parse_json(file.text(), name);
}

// Config and tensors of a source, of either format.
struct OpenedModel {
  Json json;  // config.json, or what a GGUF file says in its place
  Config config;
  std::vector<std::string> warnings;
  std::optional<Checkpoint> safetensors;
  Status safetensors_status;  // why there are none
  std::optional<GgufCheckpoint> gguf;

  static Result<OpenedModel> open(const FileSource& source) {
    OpenedModel opened;
    PONDER_TRY(source.check());
    if (const std::string file = source.gguf_file(); !file.empty()) {
      PONDER_ASSIGN(opened.gguf, GgufCheckpoint::open(source, file));
      PONDER_ASSIGN(GgufConfig read, read_gguf_config(*opened.gguf));
      opened.json = std::move(read.json);
      opened.config = std::move(read.config);
      opened.warnings = std::move(read.warnings);
      return opened;
    }
    PONDER_ASSIGN(opened.json, read_json(source, "config.json"));
    PONDER_ASSIGN(opened.config, Config::parse(opened.json));
    Result<Checkpoint> checkpoint = Checkpoint::open(source);
    if (checkpoint.ok()) opened.safetensors = std::move(checkpoint).value();
    else opened.safetensors_status = std::move(checkpoint).status();
    return opened;
  }
  bool has_weights() const { return safetensors || gguf; }
  const std::vector<const TensorInfo*>& tensors() const { return gguf ? gguf->tensors() : safetensors->tensors(); }
  std::unique_ptr<FileBinder> bind(const LoadOptions& options, bool with_data, ModelWeights& weights) const {
    return gguf ? bind_gguf(*gguf, config, options, with_data, weights)
                : bind_checkpoint(*safetensors, options, with_data, weights);
  }
  void keep_mapped(ModelWeights& weights) const {
    if (gguf)
      for (const auto& part : gguf->parts()) weights.files.push_back(part->file());
    else
      for (const auto& shard : safetensors->shards()) weights.files.push_back(shard->file());
  }
};

bool wants_mtp(const Config& config, const TensorBinder& binder) {
  if (config.num_nextn_predict_layers == 0) return false;
  const std::string at = fmt::format("model.layers.{}.", config.num_hidden_layers);
  for (const char* name : {"eh_proj.weight", "enorm.weight", "hnorm.weight"})
    if (binder.has(at + name)) return true;
  return false;
}

void warn_mtp(const Config& config, bool has_mtp, std::vector<std::string>& warnings) {
  if (config.num_nextn_predict_layers > 0 && !has_mtp)
    warnings.push_back("num_nextn_predict_layers is set, but the checkpoint has no such layer");
  if (config.num_nextn_predict_layers > 1)
    warnings.push_back(
        fmt::format("num_nextn_predict_layers is {}, only the first such layer is used", config.num_nextn_predict_layers));
}

Result<std::shared_ptr<const Tokenizer>> load_tokenizer(const FileSource& source) {
  if (!source.exists("tokenizer.json"))
    return fail(Code::no_tokenizer, "{}: tokenizer.json is missing", source.describe());
  PONDER_ASSIGN(const FileView tokenizer_file, source.open("tokenizer.json"));
  FileView config_file;
  if (source.exists("tokenizer_config.json")) {
    PONDER_ASSIGN(config_file, source.open("tokenizer_config.json"));
  }
  return Tokenizer::load({tokenizer_file.text(), config_file.text()});
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

Result<std::shared_ptr<const Model>> ModelLoader::load(const FileSource& source, const LoadOptions& options) {
  std::shared_ptr<Model> model(new Model);
  PONDER_ASSIGN(const OpenedModel opened, OpenedModel::open(source));
  model->config_ = opened.config;
  model->report_.warnings = opened.warnings;
  Config& config = model->config_;
  if (!opened.has_weights()) return opened.safetensors_status;

  const std::unique_ptr<FileBinder> binder = opened.bind(options, true, model->weights_);
  binder->report(0);
  const bool has_mtp = wants_mtp(config, *binder);
  bind_weights(config, has_mtp && options.load_mtp, *binder, model->weights_);
  PONDER_TRY(binder->status());
  binder->warn_surplus(config, model->report_.warnings);
  warn_mtp(config, has_mtp, model->report_.warnings);
  model->summary_ = summarize(config, binder->tensors());
  opened.keep_mapped(model->weights_);

  if (!opened.gguf && source.exists("generation_config.json")) {
    PONDER_ASSIGN(const Json generation, read_json(source, "generation_config.json"));
    PONDER_ASSIGN(model->generation_config_, GenerationConfig::parse(generation));
  }
  std::vector<std::int32_t> eos = model->generation_config_.eos_token_ids;
  add_unique(eos, config.eos_token_ids);
  config.eos_token_ids = std::move(eos);

  Fingerprint fingerprint;
  fingerprint.add(dump_json(opened.json));
  for (const TensorInfo* info : opened.tensors())
    fingerprint.add_tensor(info->name, info->type, info->shape, info->bytes.data(), info->bytes.size());
  model->fingerprint_ = fingerprint.value();
  if (binder->report(0.9f)) PONDER_TRY(load_text(source, opened.gguf ? &opened.gguf->first() : nullptr, *model));
  binder->report(1);
  PONDER_TRY(binder->status());
  return std::shared_ptr<const Model>(std::move(model));
}

Result<ModelInspection> ModelLoader::inspect(const FileSource& source) {
  ModelInspection inspection;
  PONDER_ASSIGN(const OpenedModel opened, OpenedModel::open(source));
  inspection.config = opened.config;
  inspection.report.warnings = opened.warnings;
  if (!opened.has_weights()) {
    if (Checkpoint::exists(source)) return opened.safetensors_status;
    inspection.summary = summarize(inspection.config, expected_tensors(inspection.config));
    inspection.report.warnings.push_back(
        fmt::format("{}: no weights here; sizes are what config.json makes of them", source.describe()));
    return inspection;
  }
  ModelWeights weights;
  const LoadOptions options;
  const std::unique_ptr<FileBinder> binder = opened.bind(options, false, weights);
  const bool has_mtp = wants_mtp(inspection.config, *binder);
  bind_weights(inspection.config, has_mtp, *binder, weights);
  PONDER_TRY(binder->status());
  binder->warn_surplus(inspection.config, inspection.report.warnings);
  warn_mtp(inspection.config, has_mtp, inspection.report.warnings);
  inspection.summary = summarize(inspection.config, binder->tensors());
  return inspection;
}

// Tokenizer and chat template. Only a broken tokenizer fails the load; token ids work without the rest.
Status ModelLoader::load_text(const FileSource& source, const Gguf* gguf, Model& model) {
  Result<std::shared_ptr<const Tokenizer>> tokenizer = gguf ? load_gguf_tokenizer(*gguf) : load_tokenizer(source);
  // A build without regular expressions has no text where the tokenizer needs them.
  const bool beyond_build = tokenizer.status().code() == Code::unsupported && pattern_unicode_version().empty();
  if (tokenizer.status().code() == Code::no_tokenizer || beyond_build) {
    model.tokenizer_status_ = std::move(tokenizer).status();
    model.chat_template_status_ = model.tokenizer_status_;
    return {};
  }
  PONDER_TRY(Status(tokenizer.status()));
  model.tokenizer_ = std::move(tokenizer).value();

  Result<std::shared_ptr<const ChatTemplate>> own = gguf ? ChatTemplate::load(*gguf) : ChatTemplate::load(source);
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
