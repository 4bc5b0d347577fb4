#include "lib/session/reasoning.h"

namespace ponder::core {

Result<Reasoning> Reasoning::create(const Tokenizer* tokenizer) {
  Reasoning reasoning;
  if (!tokenizer) return reasoning;
  const std::optional<TokenId> start = tokenizer->find("<think>"), end = tokenizer->find("</think>");
  if (!start || !end || !tokenizer->is_added(*start) || !tokenizer->is_added(*end)) return reasoning;
  reasoning.tokenizer_ = tokenizer;
  reasoning.think_start_ = start;
  reasoning.think_end_ = end;
  PONDER_ASSIGN(reasoning.closing_, tokenizer->encode("\n", {}));
  reasoning.n_newline_ids_ = reasoning.closing_.size();
  reasoning.closing_.push_back(*end);
  PONDER_ASSIGN(const std::vector<TokenId> after, tokenizer->encode("\n\n", {}));
  reasoning.closing_.insert(reasoning.closing_.end(), after.begin(), after.end());
  return reasoning;
}

void Reasoning::start(std::span<const TokenId> tokens) {
  channel_ = Channel::answer;
  if (!available()) return;
  for (std::size_t i = tokens.size(); i-- > 0;) {
    if (opens(tokens[i])) channel_ = Channel::thinking;
    if (is_marker(tokens[i]) || tokenizer_->is_added(tokens[i])) return;
  }
}

Channel Reasoning::accept(TokenId id) {
  if (opens(id)) channel_ = Channel::thinking;
  const Channel of_token = channel_;
  if (closes(id)) channel_ = Channel::answer;
  return of_token;
}

std::span<const TokenId> Reasoning::closing(bool at_line_start) const {
  return std::span(closing_).subspan(at_line_start ? n_newline_ids_ : 0);
}

}  // namespace ponder::core
