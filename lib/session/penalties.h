// Changes of the logits that look at what was said before: repetition, presence and frequency penalties, and DRY.
// Pure functions on plain arrays; none allocates.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "lib/text/tokenizer.h"

namespace ponder::core {

struct SamplingParams;

// The last `last_n` tokens of `history`; all of them for -1.
std::span<const TokenId> last_tokens(std::span<const TokenId> history, std::int32_t last_n);

// For every token id that occurs c > 0 times in `window`:
//   logit = logit > 0 ? logit / repetition : logit * repetition     Keskar et al. 2019, CTRL, arXiv:1909.05858 section 4.1
//   logit = logit - c * frequency - presence                        OpenAI API, "Frequency and presence penalties"
// counts [vocab_size]: all zero, and so left behind.
void apply_penalties(std::span<float> logits, std::span<const TokenId> window, const SamplingParams& params,
                     std::span<std::int32_t> counts);

// DRY, "don't repeat yourself" (p-e-w, text-generation-webui pull request 5677): a token that would continue a
// repetition of the n last tokens, n >= allowed_length, loses multiplier * base^(n - allowed_length). The repetition is
// the longest one in `window` and does not reach past a sequence breaker; breakers themselves lose nothing.
// is_breaker [vocab_size], may be empty; lengths [vocab_size]: all zero, and so left behind.
void apply_dry(std::span<float> logits, std::span<const TokenId> window, const SamplingParams& params,
               std::span<const std::uint8_t> is_breaker, std::span<std::int32_t> lengths);

// The usual sequence breakers: every token that holds a newline, ':', '"' or '*', and every added token (turns of a chat
// and marks such as </think> repeat by their nature). [vocab_size]
std::vector<std::uint8_t> dry_breakers(const Tokenizer& tokenizer, std::size_t vocab_size);

}  // namespace ponder::core
