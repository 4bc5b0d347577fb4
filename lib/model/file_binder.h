// What the binders of checkpoint files share: problems by tensor, progress, f32 copies, an account of what is used.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "lib/io/gguf.h"
#include "lib/io/safetensors.h"
#include "lib/model/loader.h"
#include "lib/ops/context.h"

namespace ponder::core {

class FileBinder : public TensorBinder {
 public:
  bool go_on() override;
  // Calls the host's progress; `fraction` never falls.
  bool report(float fraction);
  // Every problem in one message.
  Status status() const;
  // Tensors that were not asked for.
  virtual void warn_surplus(const Config& config, std::vector<std::string>& warnings) const = 0;
  const std::vector<BoundTensor>& tensors() const { return bound_; }
  MemoryCharge take_charge() { return std::move(charge_); }  // for what lies in `weights` beside the files

 protected:
  static constexpr std::size_t kListedNames = 20;  // problems and surplus tensors named in a message

  // wanted_by: whose wishes the tensors have to meet, for the message. Without data vectors stay null.
  FileBinder(std::string_view wanted_by, const LoadOptions& options, bool with_data, std::size_t n_tensors,
             ModelWeights& weights)
      : wanted_by_(wanted_by), options_(options), with_data_(with_data), n_tensors_(n_tensors), weights_(weights),
        charge_(options.context ? options.context->memory : nullptr, MemoryUse::other) {}

  void problem(std::string text);
  bool count(std::size_t n_bytes);
  void bound(DType type, std::size_t n_bytes, Component component, std::int64_t n_parameters);
  const float* bind_vector(const TensorInfo& info, std::int64_t n, Component component);  // an f32 copy
  float* allocate_floats(std::size_t n);
  bool with_data() const { return with_data_; }
  bool is_used(const TensorInfo* info) const { return used_.count(info) > 0; }
  void use(const TensorInfo* info) { used_.insert(info); }

  // The layer in "PREFIX12.name"; -1: none.
  static std::int64_t layer_of(std::string_view name, std::string_view prefix);
  static void warn_other(const std::vector<std::string>& other, std::vector<std::string>& warnings);
  static void warn_mtp_tensors(std::size_t n, std::int64_t first_layer, std::vector<std::string>& warnings);

 private:
  std::string wanted_by_;
  const LoadOptions& options_;
  bool with_data_;
  std::size_t n_tensors_;
  ModelWeights& weights_;
  MemoryCharge charge_;
  std::unordered_set<const TensorInfo*> used_;
  std::vector<BoundTensor> bound_;
  std::vector<std::string> problems_;
  std::size_t n_problems_ = 0;
  float fraction_ = 0;
  Status status_;
};

// Safetensors, names as they are asked for.
std::unique_ptr<FileBinder> bind_checkpoint(const Checkpoint& checkpoint, const LoadOptions& options, bool with_data,
                                            ModelWeights& weights);
// GGUF: names, stacked experts and the two forms of kv_b_proj as llama.cpp writes them. `config` must stay.
std::unique_ptr<FileBinder> bind_gguf(const GgufCheckpoint& checkpoint, const Config& config, const LoadOptions& options,
                                      bool with_data, ModelWeights& weights);

}  // namespace ponder::core
