// AdamW with decoupled decay, a global bound on the gradient, learning rates by step, and what moves the bias of the gate.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lib/base/status.h"
#include "lib/ops/context.h"
#include "lib/train/parameters.h"

namespace ponder::core {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.98, epsilon = 1e-8;
  double weight_decay = 0;  // of matrices; norms and biases have none
  double max_norm = 1;      // of the gradient of all parameters together; 0: no bound
};

struct LearningRate {
  double peak = 1e-4;
  std::int64_t warmup_steps = 0;   // from 0, the first step being one warmup_steps-th of the peak
  std::int64_t decay_steps = 0;    // by a cosine to final_fraction of the peak at this step; 0: constant
  double final_fraction = 0.05;
  double at(std::int64_t step) const;  // of step 0, 1, ...
};

struct OptimizerStep {
  double gradient_norm = 0;  // before it was bounded
  bool skipped = false;      // the norm was not finite: nothing was changed
};

class AdamW {
 public:
  static Result<AdamW> create(const Context& ctx, const Parameters& parameters);

  // One step down `gradients`, which are laid out as the values are. A tensor whose gradient is zero everywhere (an expert
  // without tokens, or no gradient at all) keeps its values and its moments. The same bits for any number of threads.
  OptimizerStep step(const Context& ctx, Parameters& parameters, const float* gradients, const AdamWOptions& options,
                     double learning_rate);

  // What a checkpoint keeps, beside the values.
  std::span<float> first_moments() const { return {first_.as<float>(), size_}; }
  std::span<float> second_moments() const { return {second_.as<float>(), size_}; }
  std::span<std::int64_t> tensor_steps() { return tensor_steps_; }  // steps that changed each tensor

 private:
  AdamW() = default;
  Buffer first_, second_;
  std::size_t size_ = 0;
  std::vector<std::int64_t> tensor_steps_;
};

// b_e += speed sign(mean load - load of e): experts with few tokens are chosen sooner (DeepSeek-V3 report, section 2.1.2).
void move_gate_bias(std::span<float> bias, std::span<const std::int64_t> loads, double speed);

}  // namespace ponder::core
