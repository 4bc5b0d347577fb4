// The weights of a model on a device, one copy for all sessions that share model, device and kind of compute. Immutable.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "lib/model/model.h"
#include "lib/model/placement.h"
#include "lib/ops/context.h"
#include "lib/ops/device.h"

namespace ponder::core {

struct DeviceMatrix {
  ops::DeviceBuffer memory, scales;
  ponder_device_matrix matrix{};
  bool empty() const { return matrix.data == nullptr; }
};

// Projections of one input, side by side in one row of results: [q | kv_a], [q_a | kv_a], [q | k | v]. Matrices of one type
// lie one below the other and are one product.
struct DeviceProjections {
  struct Part {
    DeviceMatrix w;
    std::size_t first_col = 0;
  };
  std::vector<Part> parts;
  const float* bias = nullptr;  // of the whole row; null: none
  std::size_t n_cols = 0;
};

struct DeviceMlp {
  DeviceMatrix gate, up, down;  // routed experts: stacked
};

struct DeviceLayer {
  const float *input_layernorm = nullptr, *post_attention_layernorm = nullptr;
  DeviceProjections projections;
  const float *q_a_layernorm = nullptr, *kv_a_layernorm = nullptr;
  DeviceMatrix q_b_proj, kv_b_proj, o_proj;  // kv_b_proj: stacked by heads, [nope + v, rank]
  const float* o_proj_bias = nullptr;
  DeviceMlp mlp;     // dense, or the shared experts
  DeviceMatrix router;
  const float* e_score_correction_bias = nullptr;
  DeviceMlp experts;      // empty where they stay in RAM
  MoeWeights host_moe;    // without shared experts, where they do
};

class DeviceModel {
 public:
  struct Options {
    bool exact = false;             // what the device cannot multiply as it is becomes f32, else f16
    std::uint64_t max_bytes = 0;    // of weights on the device; 0: what is free, less a reserve for caches and scratch
    std::int64_t max_expert_layers = -1;  // layers whose routed experts go there; < 0: as many as fit
  };
  // Uploads what `place` says; out_of_memory when that is nothing. ctx: kernels and threads to convert with.
  static Result<std::shared_ptr<const DeviceModel>> create(const Model& model, const Context& ctx,
                                                           std::shared_ptr<ops::Device> device, const Options& options);
  // The one that other sessions have already, or a new one with the options that the environment gives (docs/cuda.md).
  static Result<std::shared_ptr<const DeviceModel>> shared(const Model& model, const Context& ctx);

  const std::shared_ptr<ops::Device>& device() const { return device_; }
  const Placement& placement() const { return placement_; }
  const DeviceMatrix& embed_tokens() const { return embed_tokens_; }
  const DeviceMatrix& lm_head() const { return lm_head_.empty() ? embed_tokens_ : lm_head_; }
  const float* norm() const { return norm_; }
  const std::vector<DeviceLayer>& layers() const { return layers_; }

 private:
  DeviceModel() = default;
  friend class DeviceUploader;
  std::shared_ptr<ops::Device> device_;
  Placement placement_;
  DeviceMatrix embed_tokens_, lm_head_;
  const float* norm_ = nullptr;
  std::vector<DeviceLayer> layers_;
  std::vector<ops::DeviceBuffer> vectors_;
};

}  // namespace ponder::core
