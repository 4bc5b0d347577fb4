// When thinking ends and when it goes on: budgets, the answer's reserve, stop_thinking(), loops, minimum thinking.
//
// The promises, for any model and settings: sampled thinking tokens never exceed a budget by more than grace + 3 (a
// character is never cut); where max_new_tokens or the context allows it at all, answer_reserve tokens are left when the
// answer begins; and with the controller on an answer is never blank, unless the host's stop string or sampler makes it so.
#include <algorithm>
#include <limits>

#include "lib/session/session_state.h"

namespace ponder::core {

namespace {

constexpr std::int64_t kCharacterTokens = 3;  // that finish a character: its bytes but the first

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n\v\f") == text.npos; }

bool is_digit_at(std::string_view text, std::size_t from_end) {
  return text.size() > from_end && text[text.size() - 1 - from_end] >= '0' && text[text.size() - 1 - from_end] <= '9';
}

// Where thinking can be cut without leaving half a sentence, beside the end of a line. Not at a decimal point; after_digit: of
// what stands before `text`.
bool ends_sentence(std::string_view text, bool after_digit) {
  for (std::string_view mark : {"。", "！", "？", "!", "?"})
    if (text.ends_with(mark)) return true;
  return text.ends_with('.') && !(text.size() == 1 ? after_digit : is_digit_at(text, 1));
}

}  // namespace

Status Session::State::prepare_reasoning(const GenerateParams& to_set) {
  const ReasoningParams& r = to_set.reasoning;
  const Tokenizer* tokenizer = model->tokenizer().get();
  if (r.enabled && r.detect_loops) loop_detector.create();
  if (r.enabled && tokenizer && blank_ids.empty()) {
    const auto n_ids = static_cast<TokenId>(std::min(logits.size(), tokenizer->n_ids()));
    std::vector<TokenId> blank;
    for (TokenId id = 0; id < n_ids; ++id)
      if (tokenizer->has_token(id) &&
          (reasoning.is_marker(id) || tokenizer->is_special(id) || is_blank(tokenizer->token_bytes(id))))
        blank.push_back(id);
    blank_ids = std::move(blank);
  }
  if (r.enabled) {
    const std::size_t n_most = blank_ids.size() + end_ids.size() + to_set.stop_ids.size() + 1;
    unwanted.reserve(n_most);
    sampler.reserve_unwanted(n_most);
  }
  // Last, as it is what changes the session.
  PONDER_TRY(reasoning.set_texts(r));
  forcing.reserve(std::max(reasoning.closing(false).size(), reasoning.wait(false).size()));
  return {};
}

std::int64_t Session::State::room() const {
  std::int64_t room = std::numeric_limits<std::int64_t>::max();
  if (generate.max_new_tokens > 0) room = generate.max_new_tokens - n_generated;
  if (!generate.context_shift)
    room = std::min(room, static_cast<std::int64_t>(params.context_length) - static_cast<std::int64_t>(tokens.size()));
  return room;
}

// Tokens that the thinking may still have before it has to be closed for the answer's sake; negative: it is due.
std::int64_t Session::State::room_to_think() const {
  const ReasoningParams& r = generate.reasoning;
  const std::int64_t left = room();
  if (!r.enabled || left == std::numeric_limits<std::int64_t>::max()) return left;
  const std::int64_t all = left + n_generated;
  const std::int64_t reserve =
      r.answer_reserve >= 0 ? std::min(r.answer_reserve, all) : std::min(ReasoningParams::kMaxDefaultReserve, all / 4);
  return left - reserve - static_cast<std::int64_t>(reasoning.closing(false).size()) - kCharacterTokens;
}

// Why the open block has to be closed and how many tokens too many it has, or will have had; none: it may go on. `over`
// counts from the moment it was due; at grace it is cut wherever it stands.
ThinkEnd Session::State::closing_due(std::int64_t& over, std::int64_t& grace) const {
  const ReasoningParams& r = generate.reasoning;
  const std::int64_t usual_grace = r.enabled ? r.grace : 0;
  ThinkEnd why = ThinkEnd::none;
  const auto consider = [&](ThinkEnd reason, std::int64_t n_over, std::int64_t n_grace) {
    if (n_over < 0 || (why != ThinkEnd::none && n_over - n_grace <= over - grace)) return;
    why = reason;
    over = n_over;
    grace = n_grace;
  };
  const auto budget = [&](std::int64_t tokens_used, std::int64_t limit) {
    if (limit >= 0) consider(ThinkEnd::budget, tokens_used - limit, limit == 0 ? 0 : usual_grace);
  };
  budget(stats.thinking_tokens, generate.think_budget);
  if (r.enabled) {
    budget(stats.thinking_tokens, r.turn_budget);
    budget(thinking.block_tokens, r.block_budget);
    const std::int64_t left = room_to_think();
    if (left <= usual_grace) consider(ThinkEnd::budget, usual_grace - left, usual_grace);
  }
  if (thinking.asked != ThinkEnd::none)
    consider(thinking.asked, stats.thinking_tokens - thinking.asked_at,
             thinking.asked == ThinkEnd::loop ? 0 : r.enabled ? r.grace : ReasoningParams::kDefaultGrace);
  return why;
}

bool Session::State::must_force() {
  if (is_forcing()) return true;
  if (reasoning.channel() != Channel::thinking) return false;
  if (thinking.asked == ThinkEnd::none && skip.load(std::memory_order_relaxed)) {
    thinking.asked = ThinkEnd::user;
    thinking.asked_at = stats.thinking_tokens;
  }
  std::int64_t over = 0, grace = 0;
  const ThinkEnd why = closing_due(over, grace);
  if (why == ThinkEnd::none) return false;
  const bool at_break = at_line_start || at_sentence_end;
  if (over < grace && !at_break) return false;
  if (over < grace + kCharacterTokens && detokenizer->inside_character()) return false;
  thinking.end = why == ThinkEnd::budget && grace > 0 && !at_break ? ThinkEnd::grace_cut : why;
  thinking.over |= thinking.asked != ThinkEnd::none;
  const std::span<const TokenId> closing = reasoning.closing(at_line_start);
  // So short a reply has room for the marker alone.
  const bool fits = !generate.reasoning.enabled || room() > static_cast<std::int64_t>(closing.size());
  force(fits ? closing : std::span(&*reasoning.think_end(), 1));
  return true;
}

// Whether a </think> that is sampled now is not to be.
bool Session::State::wants_wait() const {
  const ReasoningParams& r = generate.reasoning;
  const std::span<const TokenId> wait = reasoning.wait(at_line_start);
  if (!r.enabled || wait.empty() || reasoning.channel() != Channel::thinking) return false;
  if (stats.thinking_tokens >= r.min_tokens && thinking.n_waits >= r.max_waits) return false;
  std::int64_t over = 0, grace = 0;
  const bool budgets_allow = closing_due(over, grace) == ThinkEnd::none;
  return budgets_allow && room_to_think() > static_cast<std::int64_t>(wait.size());
}

bool Session::State::ends_reply(TokenId id) const {
  return !generate.ignore_eos && std::find(end_ids.begin(), end_ids.end(), id) != end_ids.end();
}

// What the sampler may not pick (an id or -1), and in `unwanted` what it should not.
TokenId Session::State::restrict_choice() {
  unwanted.clear();
  if (!generate.reasoning.enabled) return budget_used() ? reasoning.think_start().value_or(-1) : -1;
  const auto avoid = [&](std::span<const TokenId> ids) { unwanted.insert(unwanted.end(), ids.begin(), ids.end()); };
  if (reasoning.channel() == Channel::thinking) {
    // A wait that was just forced is given a try.
    if (!infos.empty() && infos.back().forced && wants_wait()) {
      avoid(std::span(&*reasoning.think_end(), 1));
      if (!generate.ignore_eos) avoid(end_ids);
    }
    return -1;
  }
  if (thinking.answer_blank) {
    if (!generate.ignore_eos) avoid(end_ids);
    avoid(generate.stop_ids);
    if (room() <= 1 || thinking.answer_loops) avoid(blank_ids);
  }
  // Room for a block that is opened and closed again at once.
  const bool may_think = !budget_used() && !thinking.over && room_to_think() > generate.reasoning.grace + 1;
  return may_think ? -1 : reasoning.think_start().value_or(-1);
}

// What is forced in place of a sampled id: a wait for </think>, the end of the block for the end of the reply.
bool Session::State::replaces(TokenId id) {
  if (!generate.reasoning.enabled || reasoning.channel() != Channel::thinking) return false;
  const bool ends = ends_reply(id);
  if (!ends && !reasoning.closes(id)) return false;
  if (wants_wait() && !(infos.back().generated && infos.back().forced)) {
    ++thinking.n_waits;
    force(reasoning.wait(at_line_start));
    return true;
  }
  if (!ends) return false;
  thinking.end = ThinkEnd::model;
  force(reasoning.closing(at_line_start));
  return true;
}

// The controller's view of a token that is part of the reply now; `piece`: the text that it completed.
void Session::State::observe(TokenId id, const TokenInfo& info, Channel before, std::string_view piece) {
  const bool changed = reasoning.channel() != before;
  if (reasoning.opens(id) && changed) {
    thinking.block_tokens = 0;
    thinking.end = ThinkEnd::none;
  }
  if (reasoning.closes(id) && changed && !info.forced) thinking.end = ThinkEnd::model;
  if (info.thinking && !info.forced) ++thinking.block_tokens;
  at_sentence_end = info.thinking && !changed && ends_sentence(piece, after_digit);
  if (!piece.empty()) after_digit = is_digit_at(piece, 0);
  if (!info.thinking && !reasoning.is_marker(id)) thinking.answer_blank &= detokenizer ? is_blank(piece) : ends_reply(id);
  if (changed) {
    loop_detector.reset();
    thinking.answer_loops = false;
  } else if (generate.reasoning.enabled && generate.reasoning.detect_loops && loop_detector.push(id)) {
    if (reasoning.channel() == Channel::answer) {
      thinking.answer_loops = true;
    } else if (thinking.asked == ThinkEnd::none) {
      thinking.asked = ThinkEnd::loop;
      thinking.asked_at = stats.thinking_tokens;
    }
  }
}

}  // namespace ponder::core
