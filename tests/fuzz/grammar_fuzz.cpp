// Any text as a GBNF grammar, a regular expression and a JSON Schema (the first byte says which): a grammar whose masks allow
// what its matcher accepts, or a status that says what is wrong.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/grammar/grammar.h"

using namespace ponder::core;

namespace {

// Letters and marks as single tokens, which is what a grammar is likely to want.
constexpr std::string_view kTokenizer =
    R"({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}, "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "1": 3, "2": 4, "{": 5, "}": 6,)"
    R"( "[": 7, "]": 8, ":": 9, ",": 10, "\"": 11, "n": 12, "u": 13, "l": 14, "ab": 15, "nul": 16, "null": 17}, "merges": []}, "added_tokens": []})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  static const auto trie = [] {
    const auto tokenizer = Tokenizer::load({kTokenizer, {}});
    if (!tokenizer.ok()) __builtin_trap();
    return grammar::TokenTrie::create(*tokenizer, 18);
  }();
  const auto kind = static_cast<GrammarKind>(data[0] % 3);
  const auto made = Grammar::create(kind, {reinterpret_cast<const char*>(data) + 1, size - 1}, trie);
  if (!made.ok()) {
    if (made.status().message().empty()) __builtin_trap();
    return 0;
  }
  GrammarMatcher matcher(*made);
  std::string text;
  for (int i = 0; i < 20; ++i) {
    const auto mask = matcher.mask();
    TokenId chosen = -1;
    for (TokenId id = 0; id < 18; ++id) {
      GrammarMatcher copy = matcher;
      if (copy.accept(id) != mask->allows(id)) __builtin_trap();
      if (mask->allows(id) && (chosen < 0 || data[static_cast<std::size_t>(i) % size] % 2 == 0)) chosen = id;
    }
    if (chosen < 0) break;
    if (!matcher.accept(chosen)) __builtin_trap();
    text += trie->tokenizer->token_bytes(chosen);
  }
  if ((*made)->matches(text) != matcher.is_complete()) __builtin_trap();
  return 0;
}
