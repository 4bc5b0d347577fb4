#include "lib/model/loader.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "lib/base/format.h"
#include "lib/io/gguf.h"
#include "lib/io/json.h"
#include "lib/io/safetensors.h"
#include "lib/model/convert_model.h"
#include "lib/model/file_binder.h"
#include "lib/model/gguf_config.h"
#include "lib/text/pattern.h"
#include "lib/text/tokenizer_gguf.h"

namespace ponder::core {
namespace {

Result<Json> read_json(const FileSource& source, std::string_view name, MemoryCharge* memory) {
  PONDER_ASSIGN(FileView file, source.open(name));
  return parse_json(file.text(), name, {.memory = memory});
}

// The part of a load that lies between two fractions of it.
LoadOptions part_of(const LoadOptions& options, float from, float to) {
  LoadOptions part = options;
  if (options.progress)
    part.progress = [&options, from, to](float fraction) { return options.progress(from + (to - from) * fraction); };
  return part;
}

bool wants_mtp(const Config& config, const TensorBinder& binder) {
  if (config.num_nextn_predict_layers == 0) return false;
  const std::string at = formatted("model.layers.{}.", config.num_hidden_layers);
  for (const char* name : {"eh_proj.weight", "enorm.weight", "hnorm.weight"})
    if (binder.has(at + name)) return true;
  return false;
}

void warn_mtp(const Config& config, bool has_mtp, std::vector<std::string>& warnings) {
  if (config.num_nextn_predict_layers > 0 && !has_mtp)
    warnings.push_back("num_nextn_predict_layers is set, but the checkpoint has no such layer");
  if (config.num_nextn_predict_layers > 1)
    warnings.push_back(
        formatted("num_nextn_predict_layers is {}, only the first such layer is used", config.num_nextn_predict_layers));
}

Result<std::shared_ptr<const Tokenizer>> load_tokenizer(const FileSource& source, MemoryCharge* memory) {
  if (!source.exists("tokenizer.json"))
    return fail(Code::no_tokenizer, "{}: tokenizer.json is missing", source.describe());
  PONDER_ASSIGN(const FileView tokenizer_file, source.open("tokenizer.json"));
  FileView config_file;
  if (source.exists("tokenizer_config.json")) {
    PONDER_ASSIGN(config_file, source.open("tokenizer_config.json"));
  }
  return Tokenizer::load({tokenizer_file.text(), config_file.text()}, memory);
}

// Counted as long as it lives.
Result<std::shared_ptr<const Tokenizer>> counted(std::shared_ptr<const Tokenizer> tokenizer, const std::shared_ptr<Memory>& memory) {
  struct Counted {
    MemoryCharge charge;  // given back after the tokenizer
    std::shared_ptr<const Tokenizer> tokenizer;
  };
  MemoryCharge charge(memory, MemoryUse::other);
  PONDER_TRY(charge.raise_to(tokenizer->memory_bytes()).with_prefix("tokenizer"));
  const auto both = std::make_shared<Counted>(Counted{std::move(charge), std::move(tokenizer)});
  return std::shared_ptr<const Tokenizer>(both, both->tokenizer.get());
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

// Config and tensors of a source, of either format.
struct ModelLoader::OpenedModel {
  Json json;  // config.json, or what a GGUF file says in its place
  Config config;
  std::vector<std::string> warnings;
  std::optional<Checkpoint> safetensors;
  Status safetensors_status;  // why there are none
  std::optional<GgufCheckpoint> gguf;
  std::vector<FileView> files;  // that tensors lie in

  static Result<OpenedModel> open(const FileSource& source, MemoryCharge* memory) {
    OpenedModel opened;
    PONDER_TRY(source.check());
    if (const std::string file = source.gguf_file(); !file.empty()) {
      PONDER_ASSIGN(opened.gguf, GgufCheckpoint::open(source, file, memory));
      PONDER_ASSIGN(GgufConfig read, read_gguf_config(*opened.gguf));
      opened.json = std::move(read.json);
      opened.config = std::move(read.config);
      opened.warnings = std::move(read.warnings);
      for (const auto& part : opened.gguf->parts()) opened.files.push_back(part->file());
      return opened;
    }
    PONDER_ASSIGN(opened.json, read_json(source, "config.json", memory));
    PONDER_ASSIGN(opened.config, Config::parse(opened.json));
    Result<Checkpoint> checkpoint = Checkpoint::open(source, memory);
    if (!checkpoint.ok()) {
      opened.safetensors_status = std::move(checkpoint).status();
      return opened;
    }
    opened.safetensors = std::move(checkpoint).value();
    for (const auto& shard : opened.safetensors->shards()) opened.files.push_back(shard->file());
    return opened;
  }
  bool has_weights() const { return safetensors || gguf; }
  const std::vector<const TensorInfo*>& tensors() const { return gguf ? gguf->tensors() : safetensors->tensors(); }
  std::unique_ptr<FileBinder> bind(const LoadOptions& options, bool with_data, ModelWeights& weights) const {
    return gguf ? bind_gguf(*gguf, config, options, with_data, weights)
                : bind_checkpoint(*safetensors, options, with_data, weights);
  }
};

Result<std::shared_ptr<const Model>> ModelLoader::load(const FileSource& source, const LoadOptions& options) {
  std::shared_ptr<Model> model(new Model);
  const std::shared_ptr<Memory> memory = options.context ? options.context->memory : nullptr;
  if (options.count_weights) model->charge_ = MemoryCharge(memory, MemoryUse::weights);
  MemoryCharge reading(memory, MemoryUse::other);  // tables of tensors, values of JSON files: until the model is there
  PONDER_ASSIGN(OpenedModel opened, OpenedModel::open(source, &reading));
  if (!opened.has_weights()) return opened.safetensors_status;
  const std::shared_ptr<const Gguf> file = opened.gguf ? opened.gguf->parts().front() : nullptr;
  LoadOptions rest = options;
  if (!options.weight_type.empty()) {
    rest = part_of(options, 0.9f, 1);
    PONDER_TRY(convert(part_of(options, 0, 0.9f), source.describe(), opened, *model));
  }
  PONDER_ASSIGN(const std::unique_ptr<FileBinder> binder, bind(opened, rest, *model));
  PONDER_TRY(count_memory(*model).with_prefix(source.describe()));
  model->tables_charge_ = binder->take_charge();
  Config& config = model->config_;

  if (!file && source.exists("generation_config.json")) {
    PONDER_ASSIGN(const Json generation, read_json(source, "generation_config.json", &reading));
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
  if (binder->report(0.9f)) PONDER_TRY(load_text(source, file.get(), memory, *model));
  model->other_bytes_ = static_cast<std::int64_t>(model->tables_charge_.n_bytes() + model->template_charge_.n_bytes() +
                                                  (model->tokenizer_ ? model->tokenizer_->memory_bytes() : 0));
  binder->report(1);
  PONDER_TRY(binder->status());
  return std::shared_ptr<const Model>(std::move(model));
}

Result<std::unique_ptr<FileBinder>> ModelLoader::bind(const OpenedModel& opened, const LoadOptions& options, Model& model) {
  model.config_ = opened.config;
  model.report_.warnings = opened.warnings;
  std::unique_ptr<FileBinder> binder = opened.bind(options, true, model.weights_);
  binder->report(0);
  const bool has_mtp = wants_mtp(model.config_, *binder);
  bind_weights(model.config_, has_mtp && options.load_mtp, *binder, model.weights_);
  PONDER_TRY(binder->status());
  binder->warn_surplus(model.config_, model.report_.warnings);
  warn_mtp(model.config_, has_mtp, model.report_.warnings);
  model.summary_ = summarize(model.config_, binder->tensors());
  model.weights_.files = opened.files;
  return binder;
}

Status ModelLoader::count_memory(Model& model) {
  std::uint64_t counted = 0;
  for (const FileView& file : model.weights_.files)
    if (file.counted) counted += file.bytes.size();
  const auto weights = static_cast<std::uint64_t>(model.summary_.weight_bytes);
  if (weights > counted) PONDER_TRY(model.charge_.raise_to(weights - counted));
  model.memory_bytes_ = static_cast<std::int64_t>(model.charge_.n_bytes() + counted);
  return {};
}

Status ModelLoader::convert(const LoadOptions& options, std::string_view name, OpenedModel& opened, Model& model) {
  Result<Mix> mix = find_mix(options.weight_type);
  if (!mix.ok()) return std::move(mix).status().with_prefix("weight_type");
  if (!options.context) return fail(Code::invalid_argument, "weight_type {}: no context to convert in", mix->name);
  Model stored;
  LoadOptions binding = part_of(options, 0, 0.05f);
  binding.load_mtp = false;
  PONDER_TRY(bind(opened, binding, stored).status());
  PONDER_ASSIGN(ConvertedModel made,
                convert_model(*options.context, stored, *mix, name, part_of(options, 0.05f, 1).progress));
  PONDER_ASSIGN(GgufConfig read, read_gguf_config(made.checkpoint));
  // What the weights do not ask for stays as it is written.
  read.config.architecture_name = opened.config.architecture_name;
  read.config.model_type = opened.config.model_type;
  read.config.torch_dtype = opened.config.torch_dtype;
  read.config.bos_token_id = opened.config.bos_token_id;
  read.config.eos_token_ids = opened.config.eos_token_ids;
  opened.config = std::move(read.config);
  opened.warnings = stored.report_.warnings;
  opened.warnings.insert(opened.warnings.end(), made.warnings.begin(), made.warnings.end());
  opened.gguf = std::move(made.checkpoint);
  opened.safetensors.reset();
  if (!made.uses_files) opened.files.clear();
  model.weights_.owned = std::move(made.buffers);
  model.charge_ = std::move(made.charge);
  return {};
}

Result<ModelInspection> ModelLoader::inspect(const FileSource& source) {
  ModelInspection inspection;
  PONDER_ASSIGN(const OpenedModel opened, OpenedModel::open(source, nullptr));
  inspection.config = opened.config;
  inspection.report.warnings = opened.warnings;
  if (!opened.has_weights()) {
    if (Checkpoint::exists(source)) return opened.safetensors_status;
    inspection.summary = summarize(inspection.config, expected_tensors(inspection.config));
    inspection.report.warnings.push_back(
        formatted("{}: no weights here; sizes are what config.json makes of them", source.describe()));
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
Status ModelLoader::load_text(const FileSource& source, const Gguf* gguf, const std::shared_ptr<Memory>& memory, Model& model) {
  MemoryCharge reading(memory, MemoryUse::other);
  Result<std::shared_ptr<const Tokenizer>> tokenizer =
      gguf ? load_gguf_tokenizer(*gguf, &reading) : load_tokenizer(source, &reading);
  // A build without regular expressions has no text where the tokenizer needs more than Pattern::simple.
  const bool beyond_build = tokenizer.status().code() == Code::unsupported && !has_regular_expressions();
  if (tokenizer.status().code() == Code::no_tokenizer || beyond_build) {
    model.tokenizer_status_ = std::move(tokenizer).status();
    model.chat_template_status_ = model.tokenizer_status_;
    return {};
  }
  PONDER_TRY(Status(tokenizer.status()));
  PONDER_ASSIGN(model.tokenizer_, counted(std::move(tokenizer).value(), memory));
  reading.lower_to(0);

  Result<std::shared_ptr<const ChatTemplate>> own =
      gguf ? ChatTemplate::load(*gguf, {}, &reading) : ChatTemplate::load(source, {}, &reading);
  if (own.ok()) {
    model.template_charge_ = std::move(reading);
    model.chat_template_ = std::move(own).value();
    return {};
  }
  switch (own.status().code()) {  // a template that is broken, not a file that could not be read
    case Code::io: case Code::out_of_memory: case Code::callback: case Code::cancelled: return own.status();
    default: break;
  }
  const std::string_view name = builtin_template(model.config_.architecture, *model.tokenizer_);
  if (own.status().code() != Code::not_found)
    model.report_.warnings.push_back(formatted("the checkpoint's chat template cannot be used{}: {}",
                                                 name.empty() ? "" : formatted(", the built-in {} is", name),
                                                 own.status().message()));
  if (name.empty()) {
    model.chat_template_status_ = own.status();
  } else {
    PONDER_ASSIGN(model.chat_template_, ChatTemplate::builtin(name));
  }
  return {};
}

}  // namespace ponder::core
