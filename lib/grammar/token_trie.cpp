#include "lib/grammar/token_trie.h"

#include <algorithm>

namespace ponder::core::grammar {

std::shared_ptr<const TokenTrie> TokenTrie::create(std::shared_ptr<const Tokenizer> tokenizer, std::size_t n_ids) {
  constexpr std::size_t kMaxBytes = 1024;
  auto trie = std::make_shared<TokenTrie>();
  trie->n_ids = n_ids;
  std::vector<std::pair<std::string_view, TokenId>> sorted;
  for (std::size_t i = 0; i < std::min(n_ids, tokenizer->n_ids()); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (!tokenizer->has_token(id) || tokenizer->is_added(id)) continue;
    const std::string_view bytes = tokenizer->token_bytes(id);
    if (!bytes.empty() && bytes.size() <= kMaxBytes) sorted.push_back({bytes, id});
  }
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::uint32_t> open;  // nodes from the root to the last one
  std::string_view last;
  const auto close = [&](std::size_t depth) {
    for (; open.size() > depth; open.pop_back()) trie->nodes[open.back()].end = static_cast<std::uint32_t>(trie->nodes.size());
  };
  for (const auto& [bytes, id] : sorted) {
    std::size_t same = 0;
    while (same < std::min(bytes.size(), last.size()) && bytes[same] == last[same]) ++same;
    close(same);
    for (std::size_t d = same; d < bytes.size(); ++d) {
      open.push_back(static_cast<std::uint32_t>(trie->nodes.size()));
      trie->nodes.push_back({0, static_cast<std::uint32_t>(trie->tokens.size()), static_cast<std::uint16_t>(d),
                             static_cast<std::uint8_t>(bytes[d])});
    }
    trie->tokens.push_back(id);
    trie->max_depth = std::max(trie->max_depth, bytes.size());
    last = bytes;
  }
  close(0);
  trie->nodes.push_back({0, static_cast<std::uint32_t>(trie->tokens.size()), 0, 0});
  trie->tokenizer = std::move(tokenizer);
  return trie;
}

}  // namespace ponder::core::grammar
