#include "lib/session/reasoning.h"

#include "lib/base/format.h"

namespace ponder::core {

Result<Reasoning> Reasoning::create(const Tokenizer* tokenizer) {
  Reasoning reasoning;
  if (!tokenizer) return reasoning;
  const std::optional<TokenId> start = tokenizer->find("<think>"), end = tokenizer->find("</think>");
  if (!start || !end || !tokenizer->is_added(*start) || !tokenizer->is_added(*end)) return reasoning;
  reasoning.tokenizer_ = tokenizer;
  reasoning.think_start_ = start;
  reasoning.think_end_ = end;
  PONDER_ASSIGN(reasoning.newline_, tokenizer->encode("\n", {}));
  PONDER_TRY(reasoning.set_texts({}));
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

Status ReasoningParams::validate() const {
  const auto at_least = [](std::string_view name, std::int64_t value, std::int64_t lowest) {
    return value >= lowest ? Status() : fail(Code::invalid_argument, "{}: {}, want {} or more", name, value, lowest);
  };
  PONDER_TRY(at_least("turn_budget", turn_budget, -1));
  PONDER_TRY(at_least("block_budget", block_budget, -1));
  PONDER_TRY(at_least("grace", grace, 0));
  PONDER_TRY(at_least("min_tokens", min_tokens, 0));
  PONDER_TRY(at_least("max_waits", max_waits, 0));
  PONDER_TRY(at_least("answer_reserve", answer_reserve, -1));
  PONDER_TRY(at_least("probe_every", probe_every, 1));
  PONDER_TRY(at_least("probe_agree", probe_agree, 1));
  PONDER_TRY(at_least("probe_tokens", probe_tokens, 1));
  PONDER_TRY(at_least("probe_max", probe_max, 0));
  if (!(confidence >= 0 && confidence <= 1)) return fail(Code::invalid_argument, "confidence: {}, want 0 to 1", confidence);
  if (early_exit < EarlyExit::off || early_exit > EarlyExit::confidence)
    return fail(Code::invalid_argument, "early_exit: {}, want 0 (off) to 2", static_cast<int>(early_exit));
  const std::pair<const char*, const std::string*> texts[] = {{"message", &message}, {"wait_text", &wait_text}, {"probe_text", &probe_text}};
  for (const auto& [name, text] : texts)
    if (text->size() > kMaxTextBytes)
      return fail(Code::invalid_argument, "{}: {} bytes, want at most {}", name, text->size(), kMaxTextBytes);
  return {};
}

Status Reasoning::set_texts(const ReasoningParams& params) {
  if (!available()) return {};
  const auto append = [](std::vector<TokenId>& to, const std::vector<TokenId>& ids) { to.insert(to.end(), ids.begin(), ids.end()); };
  std::vector<TokenId> closing = newline_, wait = newline_, probe;
  if (params.enabled && !params.message.empty()) {
    PONDER_ASSIGN(const std::vector<TokenId> ids, tokenizer_->encode(params.message, {}));
    append(closing, ids);
    append(closing, newline_);
  }
  closing.push_back(*think_end_);
  PONDER_ASSIGN(const std::vector<TokenId> after, tokenizer_->encode("\n\n", {}));
  append(closing, after);
  const bool waits = params.enabled && (params.max_waits > 0 || params.min_tokens > 0) && !params.wait_text.empty();
  if (waits) {
    PONDER_ASSIGN(const std::vector<TokenId> ids, tokenizer_->encode(params.wait_text, {}));
    append(wait, ids);
  } else {
    wait.clear();
  }
  if (params.enabled && params.early_exit != EarlyExit::off) {
    std::string_view text = params.probe_text;
    if (text.starts_with('\n')) text.remove_prefix(1);
    PONDER_ASSIGN(probe, tokenizer_->encode(text, {true}));
  }
  closing_ = std::move(closing);
  wait_ = std::move(wait);
  probe_ = std::move(probe);
  return {};
}

std::span<const TokenId> Reasoning::closing(bool at_line_start) const {
  return std::span(closing_).subspan(at_line_start ? newline_.size() : 0);
}

std::span<const TokenId> Reasoning::wait(bool at_line_start) const {
  return wait_.empty() ? std::span<const TokenId>() : std::span(wait_).subspan(at_line_start ? newline_.size() : 0);
}

}  // namespace ponder::core
