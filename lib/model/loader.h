// How the weights of a model are named, shaped and found. One list of tensors (bind_weights) serves loading, inspecting
// and random models; they differ in the binder.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/dtype.h"
#include "lib/base/status.h"
#include "lib/base/tensor.h"
#include "lib/io/file_source.h"
#include "lib/io/gguf.h"
#include "lib/model/config.h"
#include "lib/model/model.h"
#include "lib/model/weights.h"

namespace ponder::core {

enum class Component { embedding, attention, dense_ffn, routed_experts, shared_experts, router, norms, output_head, mtp };

// One tensor in use, for the summary. An fp8 matrix and its scales are two, the scales with no parameters.
struct BoundTensor {
  Component component;
  DType type;
  std::int64_t n_parameters;
  std::int64_t n_bytes;
};

class TensorBinder {
 public:
  virtual ~TensorBinder() = default;
  // X.weight [n_out, n_in]; F8_E4M3 comes with X.weight_scale_inv.
  virtual Weight matrix(const std::string& name, std::int64_t n_out, std::int64_t n_in, Component component) = 0;
  // A norm, bias or other small tensor [n], as f32.
  virtual const float* vector(const std::string& name, std::int64_t n, Component component) = 0;
  virtual bool has(const std::string& name) const = 0;
  // False ends the binding early: cancelled, out of memory, or too many problems.
  virtual bool go_on() = 0;
};

// Asks `binder` for every tensor that `config` wants. The MTP layer is asked for when `with_mtp`.
void bind_weights(const Config& config, bool with_mtp, TensorBinder& binder, ModelWeights& weights);

// As in the official fp8 files: embedding, head, router and eh_proj are not quantised.
bool stays_unquantised(std::string_view name, Component component);

// The tensors that a checkpoint of `config` would have, in the dtypes that config.json gives.
std::vector<BoundTensor> expected_tensors(const Config& config);

ModelSummary summarize(const Config& config, const std::vector<BoundTensor>& tensors);

// 64-bit hash of our own (a multiply-and-fold over 8-byte words, FNV-like); not for adversaries.
class Fingerprint {
 public:
  void add(const void* data, std::size_t n_bytes);
  void add(std::string_view text) {
    add(static_cast<std::uint64_t>(text.size()));
    add(text.data(), text.size());
  }
  void add(std::uint64_t value);
  // Name, dtype, shape, and the first and last 64 bytes.
  void add_tensor(std::string_view name, DType type, const Shape& shape, const std::byte* data, std::size_t n_bytes);
  std::uint64_t value() const;

 private:
  std::uint64_t state_ = 0xcbf29ce484222325u;
};

class FileBinder;

class ModelLoader {
 public:
  static Result<std::shared_ptr<const Model>> load(const FileSource& source, const LoadOptions& options);
  static Result<ModelInspection> inspect(const FileSource& source);
  static Result<std::shared_ptr<const Model>> random(const Json& config, DType dtype, std::int64_t n_layers,
                                                     std::uint64_t seed, std::shared_ptr<Memory> memory);

 private:
  struct OpenedModel;
  // Config and weights of `model`.
  static Result<std::unique_ptr<FileBinder>> bind(const OpenedModel& opened, const LoadOptions& options, Model& model);
  // To options.weight_type: `opened` is then what lies in buffers of `model`, and in its files where it could stay there.
  static Status convert(const LoadOptions& options, std::string_view name, OpenedModel& opened, Model& model);
  // Counts what it has; out_of_memory above the limit.
  static Status count_memory(Model& model);
  // gguf: the file itself, or null.
  static Status load_text(const FileSource& source, const Gguf* gguf, const std::shared_ptr<Memory>& memory, Model& model);
};

}  // namespace ponder::core
