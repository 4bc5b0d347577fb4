// Rewards for completions beside the right answer (lib/verify/answer.h): form, language, length and repetition. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "lib/text/tokenizer.h"

namespace ponder::core {

struct FormatRule {
  bool thinking_open = true;  // the prompt ends in an open <think>; otherwise the completion must begin with one
  bool wants_box = true;      // the answer must have a \boxed
};

// 1: thinking, one </think>, an answer, the end token. 0 else: not finished by the end token, no </think> or more than one, a
// <think> inside, blank thinking, a blank answer, no box. `completion` is text without the end token.
double format_reward(std::string_view completion, bool ended, const FormatRule& rule);

enum class Script : std::uint32_t { latin = 1, han = 2, kana = 4, hangul = 8, cyrillic = 16, arabic = 32, greek = 64, devanagari = 128 };

// Share of the words of `text` that are in one of `scripts` (of Script, added up), 1 without words. A word is a run of letters of
// one script; each character of Han and kana is one. Fenced code and LaTeX commands do not count. It cannot tell English from French.
double language_share(std::string_view text, std::uint32_t scripts);

// -(1 - distinct n-grams / n-grams) of token ids, 0 for fewer than n.
double repetition_penalty(std::span<const TokenId> ids, std::size_t n = 20);

// 0 up to max_tokens - cushion, then falling to -1 at max_tokens (DAPO); cushion 0: always 0.
double overlong_penalty(std::size_t n_tokens, std::size_t max_tokens, std::size_t cushion);

// Of a group: 0.5 - (length - shortest) / (longest - shortest) for right answers, for wrong ones no more than 0; all 0 when
// the lengths are equal (Kimi k1.5).
std::vector<double> length_rewards(std::span<const std::size_t> n_tokens, const std::vector<bool>& right);

}  // namespace ponder::core
