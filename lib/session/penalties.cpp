#include "lib/session/penalties.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/session/sampler.h"

namespace ponder::core {

namespace {

constexpr std::string_view kBreakers = "\n:\"*";

// From this exponent on base^exponent is no f32 any more, and longer repetitions cannot be told apart.
std::int32_t max_dry_exponent(float base) {
  constexpr double kLargest = 1 << 20;
  if (base <= 1) return 0;
  const double log_max = std::log(static_cast<double>(std::numeric_limits<float>::max()));
  return static_cast<std::int32_t>(std::min(log_max / std::log(static_cast<double>(base)), kLargest));
}

}  // namespace

std::span<const TokenId> last_tokens(std::span<const TokenId> history, std::int32_t last_n) {
  return last_n < 0 ? history : history.last(std::min<std::size_t>(history.size(), static_cast<std::size_t>(last_n)));
}

void apply_penalties(std::span<float> logits, std::span<const TokenId> window, const SamplingParams& params,
                     std::span<std::int32_t> counts) {
  const float repetition = params.repetition_penalty > 0 ? params.repetition_penalty : 1.0f;
  for (TokenId id : window) ++counts[static_cast<std::size_t>(id)];
  for (TokenId token : window) {
    const auto id = static_cast<std::size_t>(token);
    if (counts[id] == 0) continue;  // done before
    float& logit = logits[id];
    logit = logit > 0 ? logit / repetition : logit * repetition;
    logit -= static_cast<float>(counts[id]) * params.frequency_penalty + params.presence_penalty;
    counts[id] = 0;
  }
}

void apply_dry(std::span<float> logits, std::span<const TokenId> window, const SamplingParams& params,
               std::span<const std::uint8_t> is_breaker, std::span<std::int32_t> lengths) {
  const auto breaks = [&](TokenId id) { return !is_breaker.empty() && is_breaker[static_cast<std::size_t>(id)] != 0; };
  const std::size_t n = window.size();
  const std::int64_t longest = std::int64_t{params.dry_allowed_length} + max_dry_exponent(params.dry_base);

  // What follows position i would continue the repetition that ends at i. Lengths are bounded by `longest`, so that this
  // takes n * longest steps at most, and needs no memory.
  for (std::size_t i = 0; i + 1 < n; ++i) {
    std::int64_t length = 0;
    for (std::size_t k = 0; k <= i && length < longest; ++k, ++length)
      if (window[i - k] != window[n - 1 - k] || breaks(window[i - k])) break;
    if (length < params.dry_allowed_length || length == 0) continue;
    std::int32_t& best = lengths[static_cast<std::size_t>(window[i + 1])];
    best = std::max(best, static_cast<std::int32_t>(length));
  }
  for (std::size_t i = 0; i + 1 < n; ++i) {
    std::int32_t& length = lengths[static_cast<std::size_t>(window[i + 1])];
    if (length > 0 && !breaks(window[i + 1])) {
      const double penalty = params.dry_multiplier * std::pow(params.dry_base, length - params.dry_allowed_length);
      // Large, but finite: a candidate that every other rule has left over can still be taken.
      logits[static_cast<std::size_t>(window[i + 1])] -= static_cast<float>(std::min(penalty, 1e30));
    }
    length = 0;
  }
}

std::vector<std::uint8_t> dry_breakers(const Tokenizer& tokenizer, std::size_t vocab_size) {
  std::vector<std::uint8_t> is_breaker(vocab_size, 0);
  for (std::size_t id = 0; id < std::min(vocab_size, tokenizer.n_ids()); ++id) {
    const auto token = static_cast<TokenId>(id);
    is_breaker[id] =
        tokenizer.is_added(token) || tokenizer.token_bytes(token).find_first_of(kBreakers) != std::string_view::npos;
  }
  return is_breaker;
}

}  // namespace ponder::core
