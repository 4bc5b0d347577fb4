#include "lib/train/rewards.h"

#include <algorithm>
#include <set>

#include "lib/text/utf8.h"

namespace ponder::core {
namespace {

constexpr std::string_view kOpen = "<think>", kClose = "</think>";

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

struct ScriptRange {
  std::uint32_t first, last;
  Script script;
};
// Letters only, the blocks in wide use (Unicode 14).
constexpr ScriptRange kRanges[] = {
    {0x41, 0x5a, Script::latin},        {0x61, 0x7a, Script::latin},        {0xc0, 0xd6, Script::latin},
    {0xd8, 0xf6, Script::latin},        {0xf8, 0x24f, Script::latin},       {0x370, 0x3ff, Script::greek},
    {0x400, 0x52f, Script::cyrillic},   {0x620, 0x64a, Script::arabic},     {0x671, 0x6d3, Script::arabic},
    {0x904, 0x939, Script::devanagari}, {0x93e, 0x94d, Script::devanagari}, {0x1e00, 0x1eff, Script::latin},
    {0x1f00, 0x1fff, Script::greek},    {0x3041, 0x3096, Script::kana},     {0x30a1, 0x30fa, Script::kana},
    {0x3400, 0x4dbf, Script::han},      {0x4e00, 0x9fff, Script::han},      {0xac00, 0xd7a3, Script::hangul},
    {0xf900, 0xfaff, Script::han},      {0x20000, 0x323af, Script::han},
};

std::uint32_t script_of(std::uint32_t code) {  // 0: no letter
  for (const ScriptRange& range : kRanges)
    if (code >= range.first && code <= range.last) return static_cast<std::uint32_t>(range.script);
  return 0;
}

}  // namespace

double format_reward(std::string_view completion, bool ended, const FormatRule& rule) {
  if (!ended) return 0;
  if (!rule.thinking_open) {
    const std::size_t start = completion.find_first_not_of(" \t\r\n");
    if (start == std::string_view::npos || !completion.substr(start).starts_with(kOpen)) return 0;
    completion.remove_prefix(start + kOpen.size());
  }
  const std::size_t close = completion.find(kClose);
  if (close == std::string_view::npos || completion.find(kOpen) != std::string_view::npos) return 0;
  const std::string_view thinking = completion.substr(0, close), answer = completion.substr(close + kClose.size());
  if (answer.find(kClose) != std::string_view::npos || is_blank(thinking) || is_blank(answer)) return 0;
  return rule.wants_box && answer.find("\\boxed") == std::string_view::npos ? 0 : 1;
}

double language_share(std::string_view text, std::uint32_t scripts) {
  constexpr std::uint32_t kOneByOne = static_cast<std::uint32_t>(Script::han) | static_cast<std::uint32_t>(Script::kana);
  std::size_t n_words = 0, n_wanted = 0;
  std::uint32_t previous = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (text.substr(at).starts_with("```")) {
      const std::size_t end = text.find("```", at + 3);
      at = end == std::string_view::npos ? text.size() : end + 3;
      previous = 0;
      continue;
    }
    if (text[at] == '\\') {  // a command: its letters are no word
      for (++at; at < text.size() && ((text[at] >= 'a' && text[at] <= 'z') || (text[at] >= 'A' && text[at] <= 'Z'));) ++at;
      previous = 0;
      continue;
    }
    const utf8::Char c = utf8::next(text, at);
    at += c.size;
    const std::uint32_t script = c.valid ? script_of(c.code) : 0;
    if (script != 0 && (script != previous || (script & kOneByOne) != 0)) {
      ++n_words;
      n_wanted += (script & scripts) != 0 ? 1 : 0;
    }
    previous = script;
  }
  return n_words == 0 ? 1 : static_cast<double>(n_wanted) / static_cast<double>(n_words);
}

double repetition_penalty(std::span<const TokenId> ids, std::size_t n) {
  if (n == 0 || ids.size() < n) return 0;
  const auto less = [n](const TokenId* a, const TokenId* b) { return std::lexicographical_compare(a, a + n, b, b + n); };
  std::set<const TokenId*, decltype(less)> distinct(less);
  const std::size_t n_grams = ids.size() - n + 1;
  for (std::size_t i = 0; i < n_grams; ++i) distinct.insert(ids.data() + i);
  return static_cast<double>(distinct.size()) / static_cast<double>(n_grams) - 1;
}

double overlong_penalty(std::size_t n_tokens, std::size_t max_tokens, std::size_t cushion) {
  if (cushion == 0) return 0;
  const double over = static_cast<double>(n_tokens) - static_cast<double>(max_tokens) + static_cast<double>(cushion);
  return -std::clamp(over / static_cast<double>(cushion), 0.0, 1.0);
}

std::vector<double> length_rewards(std::span<const std::size_t> n_tokens, const std::vector<bool>& right) {
  std::vector<double> rewards(n_tokens.size(), 0);
  if (n_tokens.empty()) return rewards;
  const auto [least, most] = std::minmax_element(n_tokens.begin(), n_tokens.end());
  if (*least == *most) return rewards;
  for (std::size_t i = 0; i < n_tokens.size(); ++i) {
    const double lambda = 0.5 - static_cast<double>(n_tokens[i] - *least) / static_cast<double>(*most - *least);
    rewards[i] = right[i] ? lambda : std::min(0.0, lambda);
  }
  return rewards;
}

}  // namespace ponder::core
