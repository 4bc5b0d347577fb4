// The forward pass on a device: what Forward does when its context has one. Rows of the caches lie on the same device
// (KvLayout::device). Weights that stay in RAM (Placement) meet the CPU's kernels between two layers.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "lib/model/device_model.h"
#include "lib/model/forward.h"
#include "lib/model/scratch.h"

namespace ponder::core {

class DeviceForward {
 public:
  static Result<std::unique_ptr<DeviceForward>> create(const Model& model, const Context& ctx, const ForwardOptions& options);

  // Of a checked batch whose caches have made room.
  Status begin(const Batch& batch);
  // As Forward::advance; caches are committed by the caller.
  Status advance(Forward::Clock::time_point deadline);
  std::size_t layer() const { return layer_; }

  Tensor logits() const { return Tensor(host_logits_.as<float>(), logits_rows_, vocab_); }
  // Downloaded when asked for; NaN where that fails.
  Tensor final_hidden() const { return hidden(true); }
  Tensor final_hidden_prenorm() const { return hidden(false); }

  const DeviceModel& weights() const { return *weights_; }

 private:
  DeviceForward() = default;
  Status create_buffers(const Config& config);
  Status upload_inputs(const Batch& batch);
  void enqueue_embedding();
  Status enqueue_layer(std::size_t index);
  Status experts_on_host(const DeviceLayer& w, std::size_t index);
  void enqueue_head();
  Status finish();
  Tensor hidden(bool normed) const;
  Status tap_f32(const std::string& name, const ponder_device_rows& rows, std::size_t n_cols);
  void project(const DeviceProjections& w);

  struct Graph {
    void* graph = nullptr;
    std::uint64_t generation = 0;
    int n_seen = 0;
  };

  const Model* model_ = nullptr;
  Context ctx_;
  ForwardOptions options_;
  Rope rope_;
  std::shared_ptr<const DeviceModel> weights_;
  ops::DeviceQueue queue_;
  std::size_t vocab_ = 0, width_ = 0, rope_half_ = 0;
  std::uint32_t activation_ = PONDER_TYPE_F32;

  // On the device, for max_rows rows.
  ops::DeviceBuffer memory_, inputs_, host_inputs_, blocks_, host_blocks_, host_logits_, host_rows_;
  ponder_device_rows residual_{}, normed_{}, normed32_{}, projected_{}, q_lora_{}, q_{}, attn_out_{}, inner_{}, scores_{}, block_out_{},
      picked_{}, logits_{};
  float *cos_ = nullptr, *sin_ = nullptr;
  double* frequencies_ = nullptr;
  ponder_device_slots slots_{};
  std::optional<Scratch> scratch_;  // for experts that stay in RAM
  mutable std::vector<float> hidden_;

  // The pass under way.
  std::vector<ponder_device_sequence> sequences_;
  ponder_device_cache cache_{};
  ForwardTap* tap_ = nullptr;
  std::size_t n_rows_ = 0, logits_rows_ = 0, layer_ = 0, layer_stride_ = 0;
  bool one_row_each_ = false, embedded_ = false;
  std::map<std::pair<std::size_t, std::size_t>, Graph> graphs_;  // of passes with one row of each sequence: [rows, logits rows]

 public:
  ~DeviceForward();
};

}  // namespace ponder::core
