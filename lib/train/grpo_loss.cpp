#include "lib/train/grpo_loss.h"

#include <algorithm>
#include <cmath>

namespace ponder::core {
namespace {

constexpr double kNoSpread = 1e-6, kStdOffset = 1e-4, kMaxLogRatio = 20;

}  // namespace

Advantages group_advantages(std::span<const double> rewards, std::size_t group_size, AdvantageKind kind) {
  Advantages result;
  result.values.assign(rewards.size(), 0);
  result.takes_part.assign(rewards.size(), false);
  double batch_squares = 0;
  std::size_t n_batch = 0;
  for (std::size_t first = 0; group_size > 0 && first < rewards.size(); first += group_size) {
    const std::span<const double> group = rewards.subspan(first, std::min(group_size, rewards.size() - first));
    double sum = 0, least = 0, most = 0;
    std::size_t n = 0;
    for (const double r : group) {
      if (!std::isfinite(r)) {
        ++result.n_missing;
        continue;
      }
      least = n == 0 ? r : std::min(least, r);
      most = n == 0 ? r : std::max(most, r);
      sum += r;
      ++n;
    }
    if (n < 2 || most - least < kNoSpread) continue;
    ++result.n_groups_with_spread;
    const double mean = sum / static_cast<double>(n);
    double squares = 0;
    for (const double r : group)
      if (std::isfinite(r)) squares += (r - mean) * (r - mean);
    const double divisor = kind == AdvantageKind::group_std ? std::sqrt(squares / static_cast<double>(n)) + kStdOffset : 1;
    for (std::size_t i = 0; i < group.size(); ++i) {
      if (!std::isfinite(group[i])) continue;
      result.takes_part[first + i] = true;
      result.values[first + i] = (group[i] - mean) / divisor;
    }
    batch_squares += squares;
    n_batch += n;
  }
  if (kind == AdvantageKind::batch_std && n_batch > 0) {
    const double divisor = std::sqrt(batch_squares / static_cast<double>(n_batch)) + kStdOffset;
    for (double& value : result.values) value /= divisor;
  }
  return result;
}

void grpo_loss(const GrpoLossOptions& options, const LossBatch& batch, double advantage, std::span<const double> logprobs,
               std::span<const double> old_logprobs, std::span<const double> reference_logprobs, std::span<double> gradient,
               GrpoSums& sums) {
  const std::size_t n = logprobs.size();
  const auto tokens = static_cast<double>(n), completions = static_cast<double>(batch.n_completions);
  const double weight = options.weights == LossWeights::token      ? 1 / static_cast<double>(batch.n_tokens)
                        : options.weights == LossWeights::sequence ? 1 / (completions * tokens)
                                                                   : 1 / (completions * static_cast<double>(options.max_new_tokens));
  double mean_log_ratio = 0;
  for (std::size_t t = 0; t < n; ++t) mean_log_ratio += (logprobs[t] - old_logprobs[t]) / tokens;
  for (std::size_t t = 0; t < n; ++t) {
    const double log_ratio = options.ratio == RatioKind::token ? logprobs[t] - old_logprobs[t] : mean_log_ratio;
    const double ratio = std::exp(std::clamp(log_ratio, -kMaxLogRatio, kMaxLogRatio));
    double objective = std::min(ratio * advantage, std::clamp(ratio, 1 - options.clip_low, 1 + options.clip_high) * advantage);
    bool active = !(advantage > 0 && ratio > 1 + options.clip_high) && !(advantage < 0 && ratio < 1 - options.clip_low) &&
                  std::abs(log_ratio) <= kMaxLogRatio;
    if (options.dual_clip > 0 && advantage < 0 && ratio > options.dual_clip) {
      objective = options.dual_clip * advantage;
      active = false;
    }
    // With one ratio for the completion each of its tokens carries 1/n of its gradient, n times.
    gradient[t] = active ? -weight * ratio * advantage : 0;
    if (!reference_logprobs.empty()) {
      const double d = std::clamp(reference_logprobs[t] - logprobs[t], -kMaxLogRatio, kMaxLogRatio);
      const double kl = std::exp(d) - d - 1;
      objective -= options.kl_beta * kl;
      if (std::abs(reference_logprobs[t] - logprobs[t]) <= kMaxLogRatio)
        gradient[t] -= weight * options.kl_beta * (std::exp(d) - 1);
      sums.kl += kl;
    }
    sums.loss -= weight * objective;
    sums.ratio_error += std::abs(ratio - 1);
    sums.max_ratio_error = std::max(sums.max_ratio_error, std::abs(ratio - 1));
    sums.n_clipped += active ? 0 : 1;
    ++sums.n_tokens;
  }
}

}  // namespace ponder::core
