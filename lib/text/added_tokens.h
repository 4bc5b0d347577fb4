// The added tokens of tokenizer.json ("<think>", "<｜User｜>"), cut out of a text before anything else sees it. As the Rust
// library does it: those with normalized=false first, in the text as it is; the others in the normalised text between.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lib/base/status.h"
#include "lib/io/json.h"
#include "lib/text/pattern.h"
#include "lib/text/tokenizer.h"

namespace ponder::core {

struct AddedToken {
  std::string content;  // as it is looked for: normalised when `normalized` is set and the tokenizer normalises
  TokenId id = 0;
  bool special = false, single_word = false, lstrip = false, rstrip = false, normalized = false;
};

class AddedTokens {
 public:
  // `entries`: tokenizer.json's added_tokens, or null.
  static Result<AddedTokens> create(const Json* entries);

  const std::vector<AddedToken>& all() const { return tokens_; }
  std::size_t memory_bytes() const {
    std::size_t n_bytes = 0;
    for (const AddedToken& token : tokens_) n_bytes += 2 * sizeof token + 2 * token.content.capacity() + 192;
    return n_bytes;
  }
  const AddedToken* find(TokenId id) const;
  const AddedToken* find(std::string_view content) const;

  // What is looked for; call once, after which nothing changes.
  Status build(const std::function<std::string(std::string_view)>& normalize);

  // A part of a text: plain, or one added token.
  struct Part {
    TextSpan span;
    const AddedToken* token = nullptr;
  };
  // Appends the parts of `text` (valid UTF-8) in order. `content`: ascending, disjoint spans in which nothing is recognised.
  // normalized: which of the two sorts of tokens to look for.
  Status cut(std::string_view text, std::span<const TextSpan> content, bool normalized, std::vector<Part>& parts) const;
  bool any(bool normalized) const { return !sorted_[normalized].empty(); }

 private:
  const AddedToken* longest_at(std::string_view text, bool normalized) const;
  Result<bool> stands_alone(std::string_view text, TextSpan match) const;

  std::vector<AddedToken> tokens_;
  std::unordered_map<TokenId, std::size_t> by_id_;
  std::unordered_map<std::string, std::size_t> by_content_;  // as the file writes it
  std::vector<std::size_t> sorted_[2];  // indices by content, in byte order; [normalized]
  std::array<bool, 256> first_byte_[2]{};
  std::shared_ptr<const Pattern> word_;  // a character of a word, when some token is single_word
};

}  // namespace ponder::core
