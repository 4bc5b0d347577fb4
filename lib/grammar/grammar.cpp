#include "lib/grammar/grammar.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "lib/base/format.h"
#include "lib/grammar/gbnf.h"
#include "lib/grammar/json_schema.h"
#include "lib/grammar/regex_syntax.h"

namespace ponder::core {

using grammar::States;

namespace {

Result<grammar::Syntax> parse(GrammarKind kind, std::string_view text) {
  if (kind == GrammarKind::gbnf) return grammar::parse_gbnf(text);
  if (kind == GrammarKind::json_schema) return grammar::parse_json_schema(text);
  grammar::Syntax syntax;
  syntax.add_rule("regular expression");
  PONDER_ASSIGN(const grammar::NodeId body, grammar::parse_regex(text, {}, syntax));
  syntax.define(0, body);
  return syntax;
}

}  // namespace

void TokenMask::apply(std::span<float> logits) const {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  for (std::size_t first = 0; first < logits.size(); first += 64) {
    const std::uint64_t word = first / 64 < bits.size() ? bits[first / 64] : 0;
    const std::span<float> part = logits.subspan(first, std::min<std::size_t>(64, logits.size() - first));
    // Whatever is rarer is gone through bit by bit.
    if (std::popcount(word) > 32) {
      for (std::uint64_t rest = ~word; rest != 0; rest &= rest - 1)
        if (const auto i = static_cast<std::size_t>(std::countr_zero(rest)); i < part.size()) part[i] = kNever;
      continue;
    }
    float kept[32];
    std::size_t n_kept = 0;
    for (std::uint64_t rest = word; rest != 0; rest &= rest - 1)
      if (const auto i = static_cast<std::size_t>(std::countr_zero(rest)); i < part.size()) kept[n_kept++] = part[i];
    std::fill(part.begin(), part.end(), kNever);
    n_kept = 0;
    for (std::uint64_t rest = word; rest != 0; rest &= rest - 1)
      if (const auto i = static_cast<std::size_t>(std::countr_zero(rest)); i < part.size()) part[i] = kept[n_kept++];
  }
}

Result<std::shared_ptr<const Grammar>> Grammar::create(GrammarKind kind, std::string_view text,
                                                       std::shared_ptr<const grammar::TokenTrie> trie) {
  PONDER_ASSIGN(const grammar::Syntax syntax, parse(kind, text));
  PONDER_ASSIGN(grammar::Network network, grammar::Network::compile(syntax));
  std::shared_ptr<Grammar> out(new Grammar);
  out->network_ = std::make_shared<const grammar::Network>(std::move(network));
  out->trie_ = std::move(trie);
  out->cache_ = std::make_shared<Cache>(out->network_);
  return std::shared_ptr<const Grammar>(std::move(out));
}

bool Grammar::matches(std::string_view text) const {
  Cache cache(network_);
  grammar::StateId state = cache.states.start();
  for (char c : text) {
    state = cache.states.next_byte(state, static_cast<std::uint8_t>(c));
    if (state == States::kDead) return false;
    if (cache.states.bytes() > kMaxCacheBytes) {
      Cache fresh(network_);
      state = fresh.states.import(cache.states, state);
      cache = std::move(fresh);
    }
  }
  return cache.states.accepting(state);
}

std::shared_ptr<const TokenMask> Grammar::find_mask(Cache& cache, grammar::StateId state) const {
  if (state < cache.masks.size() && cache.masks[state]) return cache.masks[state];
  auto mask = std::make_shared<TokenMask>();
  mask->bits.assign((trie_->n_ids + 63) / 64, 0);
  const std::vector<grammar::TokenTrie::Node>& nodes = trie_->nodes;
  std::vector<grammar::StateId> path(trie_->max_depth + 1, state);  // path[d]: before the byte at depth d
  for (std::size_t i = 0; i + 1 < nodes.size();) {
    const grammar::TokenTrie::Node& node = nodes[i];
    // A grammar may be so ambiguous that one mask's states would fill the memory: tokens beyond are not allowed then.
    if (cache.states.bytes() > 4 * kMaxCacheBytes) break;
    const grammar::StateId next = cache.states.next(path[node.depth], network_->byte_class[node.byte]);
    if (next == States::kDead) {
      i = node.end;
      continue;
    }
    path[node.depth + 1u] = next;
    for (std::size_t t = node.first_token; t < nodes[i + 1].first_token; ++t) {
      const auto id = static_cast<std::size_t>(trie_->tokens[t]);
      mask->bits[id / 64] |= std::uint64_t{1} << (id % 64);
      ++mask->count;
      mask->only = trie_->tokens[t];
    }
    ++i;
  }
  if (mask->count != 1) mask->only = -1;
  if (cache.masks.size() <= state) cache.masks.resize(state + 1);
  cache.masks[state] = mask;
  cache.mask_bytes += mask->bits.size() * sizeof(std::uint64_t);
  return mask;
}

GrammarMatcher::GrammarMatcher(std::shared_ptr<const Grammar> grammar) : grammar_(std::move(grammar)) { reset(); }

void GrammarMatcher::reset() {
  const std::lock_guard lock(grammar_->mutex_);
  cache_ = grammar_->cache_;
  state_ = cache_->states.start();
  n_tokens_ = 0;
}

void GrammarMatcher::follow() {
  std::shared_ptr<Grammar::Cache>& current = grammar_->cache_;
  if (current->states.bytes() + current->mask_bytes > Grammar::kMaxCacheBytes)
    current = std::make_shared<Grammar::Cache>(grammar_->network_);
  if (cache_ == current) return;
  state_ = current->states.import(cache_->states, state_);
  cache_ = current;
}

bool GrammarMatcher::is_complete() const {
  const std::lock_guard lock(grammar_->mutex_);
  return cache_->states.accepting(state_);
}

std::shared_ptr<const TokenMask> GrammarMatcher::mask() {
  const std::lock_guard lock(grammar_->mutex_);
  follow();
  return grammar_->find_mask(*cache_, state_);
}

bool GrammarMatcher::accept(TokenId id) {
  const std::string_view bytes = grammar_->trie_->tokenizer->token_bytes(id);
  if (bytes.empty() || grammar_->trie_->tokenizer->is_added(id)) return false;
  const std::lock_guard lock(grammar_->mutex_);
  follow();
  grammar::StateId state = state_;
  for (char c : bytes) state = cache_->states.next_byte(state, static_cast<std::uint8_t>(c));
  if (state == States::kDead) return false;
  state_ = state;
  ++n_tokens_;
  return true;
}

void GrammarMatcher::forced(std::vector<TokenId>& out) {
  constexpr std::size_t kMaxForced = 256;  // bytes
  out.clear();
  std::string text;
  bool at_end = false;
  {
    const std::lock_guard lock(grammar_->mutex_);
    follow();
    const grammar::Network& network = *grammar_->network_;
    grammar::StateId state = state_;
    while (text.size() < kMaxForced && !cache_->states.accepting(state)) {
      std::size_t only = 256;
      grammar::StateId target = States::kDead;
      for (std::size_t c = 0; c < network.class_byte.size(); ++c) {
        const grammar::StateId next = cache_->states.next(state, static_cast<std::uint8_t>(c));
        if (next == States::kDead) continue;
        if (only != 256 || network.class_size[c] != 1) {
          only = 257;
          break;
        }
        only = c;
        target = next;
      }
      if (only > 255) break;
      text += static_cast<char>(network.class_byte[only]);
      state = target;
    }
    bool ends = cache_->states.accepting(state);
    for (std::size_t c = 0; ends && c < network.class_byte.size(); ++c)
      ends = cache_->states.next(state, static_cast<std::uint8_t>(c)) == States::kDead;
    at_end = ends;
  }
  if (text.empty()) return;
  const Tokenizer& tokenizer = *grammar_->trie_->tokenizer;
  Result<std::vector<TokenId>> ids = tokenizer.encode(text, {});
  if (!ids.ok()) return;  // cut within a character
  // The tokens must be the text, byte by byte; and the last one might have been longer, had more text been known.
  std::string bytes;
  for (TokenId id : *ids) {
    if (static_cast<std::size_t>(id) >= grammar_->trie_->n_ids || tokenizer.is_added(id)) return;
    bytes += tokenizer.token_bytes(id);
  }
  if (bytes != text) return;
  out = std::move(*ids);
  if (!at_end) out.pop_back();
}

}  // namespace ponder::core
