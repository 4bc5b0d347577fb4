// Strict output: the answer stays within a grammar. Thinking is free; what the controller forces is not looked at.
#include "lib/base/format.h"
#include "lib/session/session_state.h"

namespace ponder::core {

Status Session::set_grammar(GrammarKind kind, std::string_view text) {
  State& st = *state_;
  if (!st.detokenizer) return fail(Code::no_tokenizer, "a grammar needs a tokenizer: {}", st.model->tokenizer_status().message());
  if (!st.token_trie)
    st.token_trie = grammar::TokenTrie::create(st.model->tokenizer(), static_cast<std::size_t>(st.model->config().vocab_size));
  PONDER_ASSIGN(std::shared_ptr<const Grammar> made, Grammar::create(kind, text, st.token_trie));
  set_grammar(GrammarMatcher(std::move(made)));
  return {};
}

void Session::set_grammar(std::optional<GrammarMatcher> matcher) {
  State& st = *state_;
  st.grammar = std::move(matcher);
  if (st.finish == FinishReason::error) st.finish = FinishReason::none;
  st.sampler.set_allowed(nullptr, {});
  // Of a reply that has begun: where its answer stands.
  if (!st.grammar) return;
  for (std::size_t i = st.n_prompt; i < st.tokens.size(); ++i) st.follow_grammar(st.tokens[i], st.infos[i]);
}

void Session::State::follow_grammar(TokenId id, const TokenInfo& info) {
  if (grammar && info.generated && !info.forced && !info.thinking && !reasoning.is_marker(id)) (void)grammar->accept(id);
}

Status Session::State::restrict_to_grammar() {
  allowed = nullptr;
  sampler.set_allowed(nullptr, {});
  if (!grammar || reasoning.channel() == Channel::thinking) return {};
  allowed = grammar->mask();
  grammar_ends.clear();
  if (grammar->is_complete()) {
    if (!generate.ignore_eos) grammar_ends = end_ids;
    grammar_ends.insert(grammar_ends.end(), generate.stop_ids.begin(), generate.stop_ids.end());
  }
  if (allowed->count == 0 && grammar_ends.empty()) {
    const bool complete = grammar->is_complete();
    finish = complete ? FinishReason::stop : FinishReason::error;
    if (complete) return Status(Code::end, {});
    return fail(Code::unsupported, "no token of the vocabulary goes on within the grammar, after {} tokens of the reply", n_generated);
  }
  sampler.set_allowed(allowed.get(), grammar_ends);
  return {};
}

}  // namespace ponder::core
