#include "lib/train/sft.h"

#include <algorithm>
#include <cstring>
#include <system_error>

#include "lib/base/format.h"
#include "lib/io/json.h"
#include "lib/io/output_file.h"
#include "lib/io/safetensors.h"
#include "lib/session/random.h"

namespace ponder::core {
namespace {

Result<SftExample> example_of(const Json& line, const Model& model) {
  const Tokenizer& tokenizer = *model.tokenizer();
  ChatInput input;
  std::string completion;
  if (const Json* messages = line.find("messages")) {
    if (!messages->is_array() || messages->as_array().empty())
      return Status(Code::invalid_argument, "\"messages\" wants a list of at least one message");
    Json::Array turns = messages->as_array();
    const Json *role = turns.back().find("role"), *content = turns.back().find("content");
    if (!role || !role->is_string() || role->as_string() != "assistant" || !content || !content->is_string())
      return Status(Code::invalid_argument, "the last message wants the role \"assistant\" and text as its content");
    completion = content->as_string();
    turns.pop_back();
    input.messages = Json(std::move(turns));
  } else {
    const Json *prompt = line.find("prompt"), *answer = line.find("completion");
    if (!prompt || !prompt->is_string() || !answer || !answer->is_string())
      return Status(Code::invalid_argument, "wanted \"prompt\" and \"completion\" as text, or \"messages\"");
    completion = answer->as_string();
    Json message{Json::Object()};
    message.set("role", "user");
    message.set("content", prompt->as_string());
    input.messages = Json(Json::Array{std::move(message)});
  }
  input.bos_token = tokenizer.bos_text();
  input.eos_token = tokenizer.eos_text();
  PONDER_ASSIGN(const RenderedChat chat, model.chat_template()->render(input));
  SftExample example;
  PONDER_ASSIGN(example.token_ids, tokenizer.encode_with_content(chat.text, chat.content));
  example.first_completion = example.token_ids.size();
  if (example.token_ids.empty()) return Status(Code::invalid_argument, "the prompt has no tokens");
  PONDER_ASSIGN(const std::vector<TokenId> ids, tokenizer.encode(completion, {.parse_special = true}));
  example.token_ids.insert(example.token_ids.end(), ids.begin(), ids.end());
  if (tokenizer.eos()) example.token_ids.push_back(*tokenizer.eos());
  if (example.token_ids.size() == example.first_completion) return Status(Code::invalid_argument, "the completion is empty");
  return example;
}

constexpr const char* kValues = "values";
constexpr const char* kFirst = "first_moments";
constexpr const char* kSecond = "second_moments";
constexpr const char* kTensorSteps = "tensor_steps";
constexpr const char* kProgress = "progress";  // steps done, seed, and what the layout hashes to

std::int64_t layout_hash(const Parameters& parameters) {
  Fingerprint fingerprint;
  for (const ParameterTensor& tensor : parameters.tensors())
    fingerprint.add_tensor(tensor.name, DType::f32, tensor.shape, nullptr, 0);
  return static_cast<std::int64_t>(fingerprint.value());
}


}  // namespace

Result<std::vector<SftExample>> read_sft_examples(std::string_view jsonl, const Model& model, std::string_view what) {
  if (!model.tokenizer()) return Status(model.tokenizer_status());
  if (!model.chat_template()) return Status(model.chat_template_status());
  std::vector<SftExample> examples;
  std::size_t number = 0;
  while (!jsonl.empty()) {
    const std::size_t end = std::min(jsonl.find('\n'), jsonl.size());
    std::string_view line = jsonl.substr(0, end);
    jsonl.remove_prefix(std::min(end + 1, jsonl.size()));
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string where = formatted("{} line {}", what, number);
    PONDER_ASSIGN(const Json json, parse_json(line, where));
    Result<SftExample> example = example_of(json, model);
    if (!example.ok()) return std::move(example).status().with_prefix(where);
    examples.push_back(std::move(example).value());
  }
  if (examples.empty()) return fail(Code::invalid_argument, "{} holds no examples", what);
  return examples;
}

Result<std::unique_ptr<SftTrainer>> SftTrainer::create(const Context& ctx, std::shared_ptr<const Model> base,
                                                       std::span<const SftExample> examples, const SftOptions& options) {
  if (examples.empty()) return Status(Code::invalid_argument, "training wants at least one example");
  if (options.batch_size == 0 || options.micro_tokens == 0)
    return Status(Code::invalid_argument, "batch_size and micro_tokens want at least 1");
  for (std::size_t i = 0; i < examples.size(); ++i)
    if (examples[i].first_completion == 0 || examples[i].first_completion >= examples[i].token_ids.size())
      return fail(Code::invalid_argument, "example {}: the completion begins at token {} of {}", i, examples[i].first_completion,
                  examples[i].token_ids.size());
  std::unique_ptr<SftTrainer> trainer(new SftTrainer);
  trainer->ctx_ = ctx;
  trainer->options_ = options;
  trainer->examples_ = examples;
  PONDER_ASSIGN(trainer->parameters_, Parameters::create(ctx, std::move(base)));
  PONDER_ASSIGN(AdamW adam, AdamW::create(ctx, *trainer->parameters_));
  trainer->adam_ = std::make_unique<AdamW>(std::move(adam));
  trainer->network_ = std::make_unique<Network<float>>(ctx, *trainer->parameters_, NetworkOptions{options.recompute});
  PONDER_ASSIGN(trainer->gradients_,
                Buffer::allocate(trainer->parameters_->size() * sizeof(float), ctx.memory, MemoryUse::other));
  return trainer;
}

// Epoch by epoch, each in an order of its own (Fisher and Yates); a batch may reach into the next epoch.
std::vector<std::size_t> SftTrainer::batch_of(std::int64_t step) const {
  std::vector<std::size_t> batch, order;
  std::uint64_t epoch_of_order = ~std::uint64_t{0};
  for (std::size_t i = 0; i < options_.batch_size; ++i) {
    const std::uint64_t at = static_cast<std::uint64_t>(step) * options_.batch_size + i, epoch = at / examples_.size();
    if (epoch != epoch_of_order) {
      std::uint64_t hash = options_.seed, state[2];
      hash = splitmix64(hash) ^ epoch;
      seed_random(state, hash);
      order.resize(examples_.size());
      for (std::size_t k = 0; k < order.size(); ++k) order[k] = k;
      for (std::size_t k = order.size(); k > 1; --k) std::swap(order[k - 1], order[next_random(state) % k]);
      epoch_of_order = epoch;
    }
    batch.push_back(order[at % examples_.size()]);
  }
  return batch;
}

Result<SftStep> SftTrainer::step() {
  const std::vector<std::size_t> batch = batch_of(steps_done_);
  SftStep result;
  result.step = steps_done_ + 1;
  for (const std::size_t i : batch) {
    result.tokens += static_cast<std::int64_t>(examples_[i].token_ids.size());
    result.completion_tokens += static_cast<std::int64_t>(examples_[i].token_ids.size() - examples_[i].first_completion);
  }
  float* const gradients = gradients_.as<float>();
  std::memset(gradients, 0, gradients_.size_bytes());
  const Config& config = parameters_->config();
  std::vector<std::vector<std::int64_t>> loads(static_cast<std::size_t>(config.num_hidden_layers));
  TrainBatch micro;
  std::vector<double> logprobs, weights;
  for (std::size_t next = 0; next < batch.size();) {
    micro.clear();
    do {
      const SftExample& example = examples_[batch[next++]];
      micro.add(example.token_ids, example.first_completion);
    } while (next < batch.size() &&
             micro.token_ids.size() + examples_[batch[next]].token_ids.size() <= options_.micro_tokens);
    logprobs.resize(micro.picks.size());
    PONDER_TRY(network_->forward(parameters_->values(), micro, 1, logprobs));
    for (const double logprob : logprobs) result.loss -= logprob;
    // The loss is the mean over all completion tokens of the step.
    weights.assign(micro.picks.size(), -1 / static_cast<double>(result.completion_tokens));
    network_->backward(weights, gradients);
    for (std::size_t layer = 0; layer < loads.size(); ++layer) {
      const std::vector<std::int64_t> more = network_->expert_loads(layer);
      loads[layer].resize(more.size());
      for (std::size_t e = 0; e < more.size(); ++e) loads[layer][e] += more[e];
    }
  }
  result.loss /= static_cast<double>(result.completion_tokens);
  result.learning_rate = options_.learning_rate.at(steps_done_);
  const OptimizerStep moved = adam_->step(ctx_, *parameters_, gradients, options_.adam, result.learning_rate);
  result.gradient_norm = moved.gradient_norm;
  result.skipped = moved.skipped;
  if (options_.gate_bias_speed > 0 && !moved.skipped)
    for (std::size_t layer = 0; layer < loads.size(); ++layer)
      if (const ParameterTensor* bias =
              parameters_->find(formatted("model.layers.{}.mlp.gate.e_score_correction_bias", layer)))
        move_gate_bias({parameters_->values() + bias->offset, bias->size}, loads[layer], options_.gate_bias_speed);
  ++steps_done_;
  return result;
}

Status SftTrainer::save(const std::filesystem::path& path) {
  const std::int64_t progress[] = {steps_done_, static_cast<std::int64_t>(options_.seed), layout_hash(*parameters_)};
  const std::span<const float> values(parameters_->values(), parameters_->size());
  const auto n = static_cast<std::int64_t>(values.size());
  const TensorToWrite tensors[] = {
      {kValues, DType::f32, Shape{n}, std::as_bytes(values)},
      {kFirst, DType::f32, Shape{n}, std::as_bytes(adam_->first_moments())},
      {kSecond, DType::f32, Shape{n}, std::as_bytes(adam_->second_moments())},
      {kTensorSteps, DType::i64, Shape{static_cast<std::int64_t>(adam_->tensor_steps().size())}, std::as_bytes(adam_->tensor_steps())},
      {kProgress, DType::i64, Shape{3}, std::as_bytes(std::span<const std::int64_t>(progress))}};
  PONDER_ASSIGN(const std::string bytes, serialize_safetensors(tensors));
  return write_file(path, std::as_bytes(std::span(bytes)));
}

Status SftTrainer::restore(const std::filesystem::path& path) {
  PONDER_ASSIGN(FileView file, folder_source(path.parent_path())->open(path.filename().string()));
  const std::string name = file.name;
  PONDER_ASSIGN(const Safetensors saved, Safetensors::parse(std::move(file)));
  std::int64_t progress[3];
  const std::pair<const char*, std::span<std::byte>> wanted[] = {
      {kProgress, std::as_writable_bytes(std::span(progress))},
      {kValues, std::as_writable_bytes(std::span(parameters_->values(), parameters_->size()))},
      {kFirst, std::as_writable_bytes(adam_->first_moments())},
      {kSecond, std::as_writable_bytes(adam_->second_moments())},
      {kTensorSteps, std::as_writable_bytes(adam_->tensor_steps())}};
  for (const auto& [key, to] : wanted) {
    const TensorInfo* info = saved.find(key);
    if (!info) return fail(Code::bad_file, "{}: no tensor {}, which a checkpoint of training has", name, key);
    if (info->bytes.size() != to.size())
      return fail(Code::bad_file, "{}: {} has {} bytes, this model wants {}", name, key, info->bytes.size(), to.size());
  }
  std::memcpy(progress, saved.find(kProgress)->bytes.data(), sizeof progress);
  if (progress[2] != layout_hash(*parameters_)) return fail(Code::bad_file, "{}: the checkpoint is of another model", name);
  if (progress[1] != static_cast<std::int64_t>(options_.seed))
    return fail(Code::invalid_argument, "{}: trained with seed {}, this run has {}", name, progress[1],
                static_cast<std::int64_t>(options_.seed));
  if (progress[0] < 0) return fail(Code::bad_file, "{}: {} steps done", name, progress[0]);
  for (const auto& [key, to] : wanted) std::memcpy(to.data(), saved.find(key)->bytes.data(), to.size());
  steps_done_ = progress[0];
  return {};
}

Status write_model(const Parameters& parameters, const FileSource& source, const std::filesystem::path& folder, DType type) {
  if (type != DType::f32 && type != DType::bf16)
    return fail(Code::invalid_argument, "a trained model is written as F32 or BF16, not {}", dtype_name(type));
  if (!source.gguf_file().empty())
    return fail(Code::unsupported, "{}: a model that was loaded from a GGUF file cannot be written as a folder yet",
                source.describe());
  PONDER_ASSIGN(const FileView config_file, source.open("config.json"));
  PONDER_ASSIGN(Json config, parse_json(config_file.text(), config_file.name));
  config.set("torch_dtype", type == DType::f32 ? "float32" : "bfloat16");
  if (config.find("num_nextn_predict_layers")) config.set("num_nextn_predict_layers", 0);  // the MTP layer is not trained
  std::erase_if(config.as_object(), [](const Json::Member& member) { return member.first == "quantization_config"; });

  std::vector<std::vector<std::uint16_t>> halves;
  std::vector<TensorToWrite> tensors;
  halves.reserve(parameters.tensors().size());
  for (const ParameterTensor& tensor : parameters.tensors()) {
    const std::span<const float> values(parameters.values() + tensor.offset, tensor.size);
    std::span<const std::byte> bytes = std::as_bytes(values);
    // What no gradient reaches moves in steps that BF16 would round away.
    const DType stored = tensor.trained ? type : DType::f32;
    if (stored == DType::bf16) {
      halves.emplace_back(tensor.size);
      std::transform(values.begin(), values.end(), halves.back().begin(), f32_to_bf16);
      bytes = std::as_bytes(std::span<const std::uint16_t>(halves.back()));
    }
    tensors.push_back({tensor.name, stored, tensor.shape, bytes});
  }
  PONDER_ASSIGN(const std::string weights, serialize_safetensors(tensors));

  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return fail(Code::io, "{}: {}", folder.string(), error.message());
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja"}) {
    if (!source.exists(name)) continue;
    PONDER_ASSIGN(const FileView file, source.open(name));
    PONDER_TRY(write_file(folder / name, file.bytes));
  }
  const std::string text = dump_json(config, 2) + "\n";
  PONDER_TRY(write_file(folder / "config.json", std::as_bytes(std::span(text))));
  return write_file(folder / "model.safetensors", std::as_bytes(std::span(weights)));
}

}  // namespace ponder::core
