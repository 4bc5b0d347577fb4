// Strict output: which tokens may come next, so that the text stays within a grammar.
//
// A mask is found by walking the tree of the vocabulary's tokens with the automaton of the grammar, and kept per state of
// the automaton. Grammars are shared by sessions and threads.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "lib/grammar/automaton.h"
#include "lib/grammar/token_trie.h"

namespace ponder::core {

enum class GrammarKind { gbnf, regex, json_schema };

struct TokenMask {
  std::vector<std::uint64_t> bits;  // bit id % 64 of word id / 64: the token keeps the text within the grammar
  std::size_t count = 0;            // of bits set
  TokenId only = -1;                // the token, when there is one only
  bool allows(TokenId id) const {
    const auto i = static_cast<std::size_t>(id);
    return id >= 0 && i / 64 < bits.size() && ((bits[i / 64] >> (i % 64)) & 1) != 0;
  }
  // -infinity for all that are not allowed.
  void apply(std::span<float> logits) const;
};

class Grammar {
 public:
  // States and masks beyond this are forgotten and found anew when wanted.
  static constexpr std::size_t kMaxCacheBytes = std::size_t{64} << 20;

  // invalid_argument, unsupported: what is wrong with the text and where.
  static Result<std::shared_ptr<const Grammar>> create(GrammarKind kind, std::string_view text,
                                                       std::shared_ptr<const grammar::TokenTrie> trie);
  // Whether the text is one of the grammar's.
  bool matches(std::string_view text) const;

 private:
  friend class GrammarMatcher;
  struct Cache {
    explicit Cache(std::shared_ptr<const grammar::Network> network) : states(std::move(network)) {}
    grammar::States states;
    std::vector<std::shared_ptr<const TokenMask>> masks;  // by state; null: not known
    std::size_t mask_bytes = 0;
  };
  Grammar() = default;
  std::shared_ptr<const TokenMask> find_mask(Cache& cache, grammar::StateId state) const;

  std::shared_ptr<const grammar::Network> network_;
  std::shared_ptr<const grammar::TokenTrie> trie_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<Cache> cache_;
};

// One text on its way through a grammar. Copies go on by themselves.
class GrammarMatcher {
 public:
  explicit GrammarMatcher(std::shared_ptr<const Grammar> grammar);

  void reset();                    // to the empty text
  bool at_start() const { return n_tokens_ == 0; }
  bool is_complete() const;        // the text so far is one of the grammar's
  // Never null; empty when nothing can follow. Those that end the reply are not in it: they may come when is_complete().
  std::shared_ptr<const TokenMask> mask();
  // False, and nothing changes, when the token's bytes leave the grammar.
  bool accept(TokenId id);
  // Tokens that are the only way to go on, as the tokenizer writes them; `out` may stay empty.
  void forced(std::vector<TokenId>& out);

 private:
  void follow();  // the grammar's cache, when it has begun a new one

  std::shared_ptr<const Grammar> grammar_;
  std::shared_ptr<Grammar::Cache> cache_;
  grammar::StateId state_ = 0;
  std::size_t n_tokens_ = 0;
};

}  // namespace ponder::core
