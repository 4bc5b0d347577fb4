// A loaded checkpoint: config, weights where they are mapped, tokenizer and chat template. Immutable; shared by sessions.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/memory.h"
#include "lib/base/status.h"
#include "lib/io/file_source.h"
#include "lib/model/config.h"
#include "lib/model/weights.h"
#include "lib/text/chat_template.h"
#include "lib/text/tokenizer.h"

namespace ponder::core {

struct Context;

struct LoadOptions {
  bool load_mtp = true;
  // A mix of quantize_mix.h: the weights are converted to it in memory, and the model computes what the file computes that
  // quantize_model writes. Without MTP layer. Empty: all weights as and where they lie.
  std::string weight_type;
  const Context* context = nullptr;  // kernels and threads, for a weight_type; memory
  bool count_weights = true;  // in the context's memory; false: only what is read to find and name them
  // progress(fraction in [0, 1]) on the calling thread; false cancels the load.
  std::function<bool(float)> progress;
};

struct LoadReport {
  std::vector<std::string> warnings;  // surplus tensors and the like
};

// What `inspect` shows; made from config.json and the safetensors headers, no weight is touched.
struct ModelSummary {
  std::int64_t n_parameters = 0;  // without the MTP layer, as model cards count; embedding and head included
  std::int64_t n_active_parameters = 0;  // per token: routed experts counted num_experts_per_tok times
  std::int64_t weight_bytes = 0;  // of the tensors in use, scales and MTP layer included
  std::int64_t active_weight_bytes = 0;  // read for one token: no MTP, of the embedding no more than a tied head
  std::vector<std::pair<std::string, std::int64_t>> bytes_by_component;  // embedding, attention, dense ffn, ...
  std::vector<std::pair<std::string, std::int64_t>> bytes_by_dtype;
  std::int64_t kv_bytes_per_token = 0;  // f32 cache; half for f16
};

struct ModelInspection {
  Config config;
  ModelSummary summary;
  LoadReport report;
};

class Model {
 public:
  static Result<std::shared_ptr<const Model>> load(std::shared_ptr<const FileSource> source, const LoadOptions& options);
  // What load() would use, from config.json and the safetensors headers: no weight and no tokenizer is read. Without
  // any weights, what config.json makes of them, and a warning.
  static Result<ModelInspection> inspect(const FileSource& source);
  // A model with random weights (seeded, N(0, 0.02)-like) from an official config.json, for benchmarks.
  // dtype: f32, f16, bf16 or f8_e4m3. n_layers > 0 cuts the model.
  static Result<std::shared_ptr<const Model>> random(const Json& config, DType dtype, std::int64_t n_layers,
                                                     std::uint64_t seed, std::shared_ptr<Memory> memory = nullptr);

  const Config& config() const { return config_; }
  const GenerationConfig& generation_config() const { return generation_config_; }
  const ModelWeights& weights() const { return weights_; }
  const LoadReport& load_report() const { return report_; }
  const ModelSummary& summary() const { return summary_; }
  // What it is counted with in the runtime's memory: summary().weight_bytes, mapped weights too; where files were read into
  // memory, those as a whole.
  std::int64_t memory_bytes() const { return memory_bytes_; }
  // What it counts besides: tokenizer, chat template, f32 copies of norms and biases, what says where weights lie.
  std::int64_t other_bytes() const { return other_bytes_; }
  // Null when the checkpoint has none; tokenizer_status() then says why.
  const std::shared_ptr<const Tokenizer>& tokenizer() const { return tokenizer_; }
  const Status& tokenizer_status() const { return tokenizer_status_; }
  const std::shared_ptr<const ChatTemplate>& chat_template() const { return chat_template_; }  // own or built-in
  // Why chat_template() is null.
  const Status& chat_template_status() const { return chat_template_status_; }
  // Hash of config and tensor table (names, shapes, dtypes) and a sample of each tensor's bytes: binds saved sessions.
  std::uint64_t fingerprint() const { return fingerprint_; }

 private:
  Model() = default;
  Config config_;
  GenerationConfig generation_config_;
  ModelWeights weights_;
  LoadReport report_;
  ModelSummary summary_;
  MemoryCharge charge_, tables_charge_, template_charge_;  // the tokenizer, which may outlive the model, has its own
  std::int64_t memory_bytes_ = 0, other_bytes_ = 0;
  std::shared_ptr<const Tokenizer> tokenizer_;
  Status tokenizer_status_;
  std::shared_ptr<const ChatTemplate> chat_template_;
  Status chat_template_status_;
  std::uint64_t fingerprint_ = 0;
  friend class ModelLoader;
};

}  // namespace ponder::core
