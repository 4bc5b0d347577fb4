// What group relative policy optimisation makes of rewards and log-probabilities: advantages, and dL / dlogprob of each
// sampled token. Forms of GRPO (DeepSeekMath, DeepSeek-R1), Dr. GRPO, DAPO and GSPO. Pure functions.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace ponder::core {

enum class AdvantageKind {
  group_std,   // (r - mean) / (std of the group + 1e-4)
  group_mean,  // r - mean (Dr. GRPO)
  batch_std,   // (r - mean of the group) / (std of that over the batch + 1e-4)
};

// How the tokens of a batch are weighed in the loss.
enum class LossWeights {
  token,     // 1 / tokens of the batch (DAPO)
  sequence,  // 1 / (completions of the batch * tokens of this one): GRPO as first published
  constant,  // 1 / (completions of the batch * max_new_tokens) (Dr. GRPO)
};

enum class RatioKind {
  token,     // exp(logprob - old) of each token
  sequence,  // exp of its mean over the completion (GSPO)
};

struct Advantages {
  std::vector<double> values;       // [rewards.size()]; 0 where the completion takes no part
  std::vector<bool> takes_part;     // false: its reward is missing, or its group has no spread
  std::size_t n_missing = 0;        // rewards that are no finite number
  std::size_t n_groups_with_spread = 0;
};

// Of groups of group_size rewards one after another. A reward that is not finite is missing: its completion counts nowhere.
// A group whose rewards differ by less than 1e-6, or that has fewer than two, takes no part.
Advantages group_advantages(std::span<const double> rewards, std::size_t group_size, AdvantageKind kind);

struct GrpoLossOptions {
  LossWeights weights = LossWeights::token;
  RatioKind ratio = RatioKind::token;
  double clip_low = 0.2, clip_high = 0.28;
  double kl_beta = 0;    // of exp(d) - d - 1, d = reference - logprob
  double dual_clip = 0;  // c of max(J, c A) where A < 0; 0: off
  std::size_t max_new_tokens = 1024;  // for LossWeights::constant
};

// The completions that the loss of one optimiser step is over, all micro-batches together.
struct LossBatch {
  std::size_t n_completions = 0;
  std::size_t n_tokens = 0;
};

struct GrpoSums {
  double loss = 0;
  double kl = 0;                // sum over tokens of exp(d) - d - 1; needs a reference
  double ratio_error = 0;       // sum over tokens of |ratio - 1|
  double max_ratio_error = 0;
  std::size_t n_clipped = 0;    // tokens without gradient of the objective
  std::size_t n_tokens = 0;
};

// One completion. logprobs, old_logprobs: of its tokens, at the temperature they were sampled with; reference_logprobs may be
// empty when kl_beta is 0. gradient [n tokens] = dL / dlogprob. Adds to `sums`. logprob - old is bounded to [-20, 20].
void grpo_loss(const GrpoLossOptions& options, const LossBatch& batch, double advantage, std::span<const double> logprobs,
               std::span<const double> old_logprobs, std::span<const double> reference_logprobs, std::span<double> gradient,
               GrpoSums& sums);

}  // namespace ponder::core
