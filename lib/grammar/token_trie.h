// The tokens of a vocabulary by their bytes: a tree in the order of a walk from the root, so that a walk reads memory
// forwards and a subtree is skipped by one jump. Immutable; shared by all grammars of a model.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "lib/text/tokenizer.h"

namespace ponder::core::grammar {

struct TokenTrie {
  struct Node {
    std::uint32_t end;          // where its subtree ends
    std::uint32_t first_token;  // in `tokens`; those of the node end where the next node's begin
    std::uint16_t depth;        // 0: the first byte
    std::uint8_t byte;
  };
  std::vector<Node> nodes;       // and one behind the last
  std::vector<TokenId> tokens;   // by their bytes
  std::size_t n_ids = 0;
  std::size_t max_depth = 0;
  std::shared_ptr<const Tokenizer> tokenizer;

  // Of ids below n_ids. Added tokens, tokens without bytes and those of more than 1024 bytes are left out.
  static std::shared_ptr<const TokenTrie> create(std::shared_ptr<const Tokenizer> tokenizer, std::size_t n_ids);
};

}  // namespace ponder::core::grammar
