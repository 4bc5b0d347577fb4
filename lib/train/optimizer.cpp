#include "lib/train/optimizer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

namespace ponder::core {
namespace {

constexpr std::size_t kBlock = 16384;  // values of one task

struct Block {
  std::size_t tensor, first, count;
};

std::vector<Block> blocks_of(std::span<const ParameterTensor> tensors) {
  std::vector<Block> blocks;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (!tensors[i].trained) continue;
    for (std::size_t first = 0; first < tensors[i].size; first += kBlock)
      blocks.push_back({i, tensors[i].offset + first, std::min(kBlock, tensors[i].size - first)});
  }
  return blocks;
}

}  // namespace

double LearningRate::at(std::int64_t step) const {
  if (step < warmup_steps) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
  if (decay_steps <= warmup_steps) return peak;
  const double done = std::min(1.0, static_cast<double>(step - warmup_steps) / static_cast<double>(decay_steps - warmup_steps));
  return peak * (final_fraction + (1 - final_fraction) * (1 + std::cos(std::numbers::pi * done)) / 2);
}

Result<AdamW> AdamW::create(const Context& ctx, const Parameters& parameters) {
  AdamW adam;
  adam.size_ = parameters.size();
  const std::size_t n_bytes = adam.size_ * sizeof(float);
  for (Buffer* buffer : {&adam.first_, &adam.second_}) {
    PONDER_ASSIGN(*buffer, Buffer::allocate(n_bytes, ctx.memory, MemoryUse::other));
    std::memset(buffer->data(), 0, n_bytes);
  }
  adam.tensor_steps_.resize(parameters.tensors().size());
  return adam;
}

OptimizerStep AdamW::step(const Context& ctx, Parameters& parameters, const float* gradients, const AdamWOptions& options,
                          double learning_rate) {
  const std::span<const ParameterTensor> tensors = parameters.tensors();
  const std::vector<Block> blocks = blocks_of(tensors);
  std::vector<double> squares(blocks.size());
  ctx.pool->parallel_for(
      blocks.size(),
      [&](std::size_t i) {
        for (std::size_t k = blocks[i].first; k < blocks[i].first + blocks[i].count; ++k)
          squares[i] += double{gradients[k]} * double{gradients[k]};
      },
      ctx.max_threads);
  double sum = 0;
  std::vector<bool> moved(tensors.size());
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    sum += squares[i];
    if (squares[i] != 0) moved[blocks[i].tensor] = true;
  }
  OptimizerStep result;
  result.gradient_norm = std::sqrt(sum);
  result.skipped = !std::isfinite(sum);
  if (result.skipped) return result;
  const double scale = options.max_norm > 0 ? std::min(1.0, options.max_norm / (result.gradient_norm + 1e-6)) : 1;
  for (std::size_t i = 0; i < tensors.size(); ++i)
    if (moved[i]) ++tensor_steps_[i];
  float* const values = parameters.values();
  float *const first = first_.as<float>(), *const second = second_.as<float>();
  const auto beta1 = static_cast<float>(options.beta1), beta2 = static_cast<float>(options.beta2);
  ctx.pool->parallel_for(
      blocks.size(),
      [&](std::size_t i) {
        const Block& block = blocks[i];
        if (!moved[block.tensor]) return;
        const auto t = static_cast<double>(tensor_steps_[block.tensor]);
        const double rate = learning_rate / (1 - std::pow(options.beta1, t));
        const double correction = 1 / (1 - std::pow(options.beta2, t));
        const double decay = tensors[block.tensor].is_matrix() ? learning_rate * options.weight_decay : 0;
        for (std::size_t k = block.first; k < block.first + block.count; ++k) {
          const float g = static_cast<float>(gradients[k] * scale);
          first[k] = beta1 * first[k] + (1 - beta1) * g;
          second[k] = beta2 * second[k] + (1 - beta2) * g * g;
          const double value = double{values[k]} * (1 - decay);
          values[k] = static_cast<float>(value - rate * double{first[k]} / (std::sqrt(double{second[k]} * correction) + options.epsilon));
        }
      },
      ctx.max_threads);
  return result;
}

void move_gate_bias(std::span<float> bias, std::span<const std::int64_t> loads, double speed) {
  std::int64_t sum = 0;
  for (const std::int64_t load : loads) sum += load;
  const auto n = static_cast<std::int64_t>(loads.size());
  for (std::size_t e = 0; e < loads.size(); ++e) {
    const std::int64_t short_of_mean = sum - n * loads[e];  // times n
    if (short_of_mean != 0) bias[e] += static_cast<float>(short_of_mean > 0 ? speed : -speed);
  }
}

}  // namespace ponder::core
