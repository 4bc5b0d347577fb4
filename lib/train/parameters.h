// The weights of a model as f32 masters in one block of memory: what an optimiser changes.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/base/buffer.h"
#include "lib/base/status.h"
#include "lib/model/loader.h"
#include "lib/model/model.h"
#include "lib/ops/context.h"

namespace ponder::core {

struct ParameterTensor {
  std::string name;  // as in safetensors
  Shape shape;
  Component component = Component::attention;
  std::size_t offset = 0;  // of its first value; a multiple of 16
  std::size_t size = 0;
  bool trained = true;  // false: the correction bias of the gate, which no gradient reaches
  bool is_matrix() const { return shape.n_dims() == 2; }
};

class Parameters {
 public:
  // Copies of all weights but the MTP layer's, whatever their type.
  static Result<std::unique_ptr<Parameters>> create(const Context& ctx, std::shared_ptr<const Model> base);

  const Config& config() const { return base_->config(); }
  const Model& base() const { return *base_; }
  std::span<const ParameterTensor> tensors() const { return tensors_; }
  const ParameterTensor* find(const std::string& name) const;
  std::size_t size() const { return size_; }  // values, with the gaps that align tensors (which are and stay 0)
  float* values() const { return memory_.as<float>(); }
  const ModelWeights& weights() const { return weights_; }  // views of values()

 private:
  Parameters() = default;
  std::shared_ptr<const Model> base_;
  ModelWeights weights_;
  std::vector<ParameterTensor> tensors_;
  std::unordered_map<std::string, std::size_t> by_name_;
  Buffer memory_;
  std::size_t size_ = 0;
};

// Where the values (or gradients) of a weight lie in a block that is laid out like Parameters::values(), of any scalar.
template <class S>
struct ParameterView {
  const float* masters = nullptr;
  S* block = nullptr;
  S* of(const float* vector) const { return vector && block ? block + (vector - masters) : nullptr; }  // no block: null
  S* of(const Weight& w) const { return of(reinterpret_cast<const float*>(w.data)); }
};

}  // namespace ponder::core
