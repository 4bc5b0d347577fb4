// Which experts a token goes to: greedy and group_limited_greedy as in the official DeepSeek-V2 code, noaux_tc as in V3
// (DeepSeek-V3 report, equations 13 to 16).
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "lib/model/decoder_layer.h"

namespace ponder::core {

namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// Position of the largest value that is not `kMinusInfinity`-marked as taken; NaN counts as smallest. Always in range.
std::size_t largest(std::span<const float> values) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < values.size(); ++i)
    if (values[i] > values[best] || std::isnan(values[best])) best = i;
  return best;
}

}  // namespace

void route(const Config& config, const float* e_score_correction_bias, std::span<float> logits,
           std::span<std::int32_t> ids, std::span<float> weights) {
  const std::size_t n_experts = logits.size(), top_k = ids.size();
  // p (softmax over all experts) or s (sigmoid), in f32.
  if (config.scoring_func == ScoringFunc::sigmoid) {
    for (float& g : logits) g = 1.0f / (1.0f + std::exp(-g));
  } else {
    const float max = logits[largest(logits)];
    double sum = 0;
    for (float& g : logits) sum += g = std::exp(g - max);
    for (float& g : logits) g = static_cast<float>(g / sum);
  }
  const bool noaux = config.topk_method == TopkMethod::noaux_tc;
  const auto choice = [&](std::size_t e) {  // bias is for selection only
    const float c = logits[e] + (noaux && e_score_correction_bias ? e_score_correction_bias[e] : 0.0f);
    return std::isnan(c) ? kMinusInfinity : c;
  };
  const auto n_group = static_cast<std::size_t>(config.n_group);
  const bool grouped = config.topk_method != TopkMethod::greedy && n_group > 1;
  const std::size_t group_size = grouped ? n_experts / n_group : n_experts;
  const auto topk_group = static_cast<std::size_t>(config.topk_group);

  const auto group_score = [&](std::size_t group) {
    float first = kMinusInfinity, second = kMinusInfinity;
    for (std::size_t e = group * group_size; e < (group + 1) * group_size; ++e) {
      const float c = choice(e);
      if (c > first)
        second = std::exchange(first, c);
      else if (c > second)
        second = c;
    }
    return noaux ? first + (group_size > 1 ? second : 0.0f) : first;
  };
  // A group is kept when fewer than topk_group groups come before it (higher score, or equal and lower index).
  const auto kept = [&](std::size_t group) {
    if (!grouped) return true;
    const float score = group_score(group);
    std::size_t before = 0;
    for (std::size_t other = 0; other < n_group; ++other) {
      const float s = group_score(other);
      if (s > score || (s == score && other < group)) ++before;
    }
    return before < topk_group;
  };

  std::size_t n_chosen = 0;
  const auto taken = [&](std::size_t e) {
    for (std::size_t i = 0; i < n_chosen; ++i)
      if (ids[i] == static_cast<std::int32_t>(e)) return true;
    return false;
  };
  // Insert every candidate into the list of the best top_k, best first.
  for (std::size_t group = 0; group < n_experts / group_size; ++group) {
    if (!kept(group)) continue;
    for (std::size_t e = group * group_size; e < (group + 1) * group_size; ++e) {
      const float c = choice(e);
      std::size_t at = n_chosen;
      while (at > 0 && c > choice(static_cast<std::size_t>(ids[at - 1]))) --at;
      if (at >= top_k) continue;
      const std::size_t last = std::min(n_chosen, top_k - 1);
      for (std::size_t i = last; i > at; --i) ids[i] = ids[i - 1];
      ids[at] = static_cast<std::int32_t>(e);
      if (n_chosen < top_k) ++n_chosen;
    }
  }
  for (std::size_t e = 0; n_chosen < top_k; ++e)  // fewer candidates than top_k: cannot happen in an official config
    if (!taken(e)) ids[n_chosen++] = static_cast<std::int32_t>(e);
  std::sort(ids.begin(), ids.end());

  double sum = 0;
  for (std::size_t i = 0; i < top_k; ++i) sum += weights[i] = logits[static_cast<std::size_t>(ids[i])];
  const bool normalise = config.norm_topk_prob && (noaux || top_k > 1);  // one expert: V3's weight is then 1, V2's its p
  if (normalise)
    for (float& weight : weights) weight = static_cast<float>(weight / (sum + 1e-20));
  // The V2 code applies the factor only when it does not normalise; V3 always.
  if (!normalise || noaux)
    for (float& weight : weights) weight *= static_cast<float>(config.routed_scaling_factor);
}

}  // namespace ponder::core
