// LoRA adapters (arXiv 2106.09685) in PEFT's format: adapter_config.json and adapter_model.safetensors. An adapter holds low-rank
// additions to a model's weights, which stay as they are; a session attaches any number of them, each with a scale.
// Immutable; shared by sessions.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/base/buffer.h"
#include "lib/base/memory.h"
#include "lib/base/status.h"
#include "lib/io/file_source.h"
#include "lib/model/model.h"
#include "lib/ops/low_rank.h"

namespace ponder::core {

// A linear layer of a model by its checkpoint name without ".weight".
struct Linear {
  const Weight* weight = nullptr;  // its place in the model; may be empty there where GGUF keeps it in two parts (kv_b_proj)
  std::size_t n_out = 0, n_in = 0;
  // GGUF's llama permutes q_proj and k_proj: heads of so many rows, pairs (i, i + head_rows / 2) side by side. 0: not.
  std::size_t head_rows = 0;
};
// not_found when the model has none of that name: embeddings, norms, routers and the MTP layer are no such layers.
Result<Linear> find_linear(const Config& config, const ModelWeights& weights, std::string_view name);

class Adapter {
 public:
  struct Part {
    std::string name;  // of the linear layer
    const Weight* weight = nullptr;
    ops::LowRank low_rank;  // its scale: lora_alpha / r, or / sqrt(r) with use_rslora
  };

  // Matrices stay in the file, mapped. Every tensor must name a layer of the model and have its shape: errors name it.
  static Result<std::shared_ptr<const Adapter>> load(std::shared_ptr<const Model> model, const FileSource& source,
                                                     std::shared_ptr<Memory> memory = nullptr);

  const Model& model() const { return *model_; }
  std::span<const Part> parts() const { return parts_; }
  std::int64_t n_parameters() const { return n_parameters_; }
  std::size_t max_rank() const { return max_rank_; }
  std::uint64_t fingerprint() const { return fingerprint_; }

 private:
  Adapter() = default;
  std::shared_ptr<const Model> model_;
  std::vector<Part> parts_;  // ascending names
  std::vector<Buffer> owned_;
  FileView file_;
  MemoryCharge charge_;
  std::int64_t n_parameters_ = 0;
  std::size_t max_rank_ = 0;
  std::uint64_t fingerprint_ = 0;
  friend class AdapterLoader;
};

struct AdapterUse {
  std::shared_ptr<const Adapter> adapter;
  float scale = 1;  // multiplies what the adapter adds
};

// What a session has attached: never empty. Order matters for the last bits of sums only.
class AdapterSet {
 public:
  // Null for no adapters, and for scales of 0. invalid_argument: an adapter of another model, twice the same, a scale that
  // is no number.
  static Result<std::shared_ptr<const AdapterSet>> create(const Model& model, std::span<const AdapterUse> uses);

  const ops::LowRanks& low_ranks() const { return low_ranks_; }
  std::uint64_t fingerprint() const { return fingerprint_; }
  bool operator==(const AdapterSet& other) const;

 private:
  AdapterSet() = default;
  std::vector<AdapterUse> uses_;
  ops::LowRanks low_ranks_;
  std::uint64_t fingerprint_ = 0;
};

}  // namespace ponder::core
