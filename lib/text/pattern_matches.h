// Collecting the matches of a pattern; what the kinds of Pattern share.
#pragma once

#include "lib/text/pattern.h"
#include "lib/text/utf8.h"

namespace ponder::core {

// Appends matches as Hugging Face's find_iter yields them: none of them empty right behind another. find(at, match, found)
// looks for the leftmost from `at` on.
template <class Find>
Status collect_matches(std::string_view text, std::vector<TextSpan>& matches, const Find& find) {
  std::size_t at = 0, last_end = std::string_view::npos;
  while (at <= text.size()) {
    TextSpan match;
    bool found = false;
    PONDER_TRY(find(at, match, found));
    if (!found) break;
    if (match.begin == match.end && match.end == last_end) {
      at += at < text.size() ? utf8::next(text, at).size : 1;
      continue;
    }
    matches.push_back(match);
    at = last_end = match.end;
  }
  return {};
}

// Steps that a search in `text` may take: a run as long as the text must pass, an exponential pattern must not.
inline std::size_t search_limit(std::string_view text) {
  return 10'000'000 + 8 * (text.size() < 100'000'000 ? text.size() : 100'000'000);
}

}  // namespace ponder::core
