// Supervised fine-tuning: the log-probability of given completions goes up. One step is SftTrainer::step.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "lib/io/file_source.h"
#include "lib/train/network.h"
#include "lib/train/optimizer.h"

namespace ponder::core {

struct SftExample {
  std::vector<TokenId> token_ids;   // prompt and completion
  std::size_t first_completion = 0;  // index of the completion's first token; the loss begins there
};

// Examples from JSONL, one object a line, blank lines left out:
//   {"prompt": TEXT, "completion": TEXT}   the prompt is what a user says, rendered by the model's chat template
//   {"messages": [..., {"role": "assistant", "content": TEXT}]}   loss on the last message
// The completion continues the rendered prompt, which with R1's templates ends in an open <think>; added tokens in it
// (</think>) become their ids. The model's end token follows. `what` names the text in messages.
Result<std::vector<SftExample>> read_sft_examples(std::string_view jsonl, const Model& model, std::string_view what);

struct SftOptions {
  std::int64_t steps = 100;
  std::size_t batch_size = 64;      // examples of a step
  std::size_t micro_tokens = 4096;  // tokens of one pass; an example is never split
  LearningRate learning_rate = {};
  AdamWOptions adam = {};
  double gate_bias_speed = 0;  // of e_score_correction_bias after each step; 0: it stays
  std::uint64_t seed = 0;      // of the order of the examples
  bool recompute = false;      // see NetworkOptions
};

struct SftStep {
  std::int64_t step = 0;        // from 1
  double loss = 0;              // mean of -log p over completion tokens
  std::int64_t tokens = 0, completion_tokens = 0;
  double gradient_norm = 0, learning_rate = 0;
  bool skipped = false;         // the gradient was not finite
};

// The state of a training run: weights, moments and how far it is. The examples of step n depend on the seed and n
// alone, so a run that was saved and restored goes on bit for bit.
class SftTrainer {
 public:
  // The examples must outlive the trainer. invalid_argument: no examples, options out of range.
  static Result<std::unique_ptr<SftTrainer>> create(const Context& ctx, std::shared_ptr<const Model> base,
                                                    std::span<const SftExample> examples, const SftOptions& options);

  // One step: the gradient of a batch, and AdamW. Cancelled by the context's flag between two layers: then nothing has
  // changed.
  Result<SftStep> step();
  std::int64_t steps_done() const { return steps_done_; }
  const Parameters& parameters() const { return *parameters_; }

  // Weights, moments and steps as safetensors; replaces the file at once.
  Status save(const std::filesystem::path& path);
  // bad_file: of another model, cut, or no checkpoint; the trainer is then as it was.
  Status restore(const std::filesystem::path& path);

 private:
  SftTrainer() = default;
  std::vector<std::size_t> batch_of(std::int64_t step) const;  // indices of examples

  Context ctx_;
  SftOptions options_;
  std::span<const SftExample> examples_;
  std::unique_ptr<Parameters> parameters_;
  std::unique_ptr<Network<float>> network_;
  std::unique_ptr<AdamW> adam_;
  Buffer gradients_;
  std::int64_t steps_done_ = 0;
};

// A Hugging Face folder with these weights as BF16 or F32: config.json, model.safetensors, and the tokenizer's and generation
// files of `source`, where the base came from. unsupported: the base is a GGUF file. The folder is made when it is missing.
Status write_model(const Parameters& parameters, const FileSource& source, const std::filesystem::path& folder, DType type);

}  // namespace ponder::core
