// One token of the reply: what is pending is computed, a token is chosen, and its text goes to its channel.
#include <algorithm>

#include "lib/base/format.h"
#include "lib/session/session_state.h"

namespace ponder::core {

namespace {

using Clock = Forward::Clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

}  // namespace

bool Session::State::is_end(TokenId id) const {
  const std::vector<TokenId>& stop_ids = generate.stop_ids;
  return ends_reply(id) || std::find(stop_ids.begin(), stop_ids.end(), id) != stop_ids.end();
}

Status Session::State::compute(Clock::time_point deadline, const Progress& progress) {
  if (logits_valid) return {};
  if (n_pending() == 0) truncate(tokens.size() - 1);  // a rewind: the last token's logits are wanted again
  double& spent_ms = infos.back().generated ? stats.decode_ms : stats.prefill_ms;
  const Clock::time_point start = Clock::now();
  const auto done = [&](Status status) {
    spent_ms += ms_since(start);
    return status;
  };
  while (n_pending() > 0) {
    if (pass != &*forward) {
      if (ctx.cancelled()) return done(Status(Code::cancelled, "cancelled"));
      pass_rows = std::min(n_pending(), params.prefill_chunk);
      const std::size_t last_row = pass_rows - 1;
      const SequenceRows sequence{&kv, 0, pass_rows};
      const std::span<const std::size_t> wanted(&last_row, pass_rows == n_pending() ? 1 : 0);
      if (Status s = forward->begin({std::span(tokens).subspan(kv.n_tokens(), pass_rows), {&sequence, 1}, wanted}); !s.ok()) {
        if (survives(s)) continue;
        return done(std::move(s));
      }
      pass = &*forward;
    }
    Status status = forward->advance(deadline);
    if (status.code() == Code::pending) return done(std::move(status));
    pass = nullptr;
    if (!status.ok() && survives(status)) continue;
    if (!status.ok()) return done(std::move(status));
    if (n_pending() == 0) {
      const float* row = forward->logits().row(0);
      std::copy(row, row + logits.size(), logits.begin());
      computed();
      if (deadline == Clock::time_point::max()) write_prompt(deadline);
    }
    if (progress && !progress(kv.n_tokens(), tokens.size())) return done(Status(Code::cancelled, "cancelled by progress"));
    if (n_pending() > 0 && Clock::now() >= deadline) return done(Status(Code::pending, {}));
  }
  return done({});
}

std::size_t Session::State::n_wanted() {
  if (must_force() || logits_valid) return 0;
  if (n_pending() == 0) truncate(tokens.size() - 1);
  return n_pending();
}

Status Session::State::ready() {
  if (tokens.empty()) return Status(Code::state, "the session has no prompt yet");
  if (ctx.cancelled()) {
    finish = FinishReason::cancelled;
    return Status(Code::cancelled, "cancelled");
  }
  if (finish == FinishReason::cancelled) return Status(Code::cancelled, "cancelled");
  if (finish != FinishReason::none && finish != FinishReason::length) return Status(Code::end, {});
  if (generate.max_new_tokens > 0 && n_generated >= generate.max_new_tokens) {
    finish = FinishReason::length;
    return Status(Code::end, {});
  }
  if (tokens.size() < params.context_length) return {};
  if (generate.context_shift) return shift();
  finish = FinishReason::length;
  return fail(Code::context_full, "all {} tokens of the context are used", params.context_length);
}

// The official way to go on past the window: the older half of what may go is forgotten, and the rest is computed anew
// at its new positions, so that the result is that of a fresh prompt.
Status Session::State::shift() {
  const std::size_t keep =
      generate.context_keep > 0 ? generate.context_keep : std::min(n_prompt, params.context_length / 2);
  const std::size_t drop = std::max<std::size_t>(1, (tokens.size() - keep) / 2);
  const auto first = static_cast<std::ptrdiff_t>(keep), last = static_cast<std::ptrdiff_t>(keep + drop);
  tokens.erase(tokens.begin() + first, tokens.begin() + last);
  infos.erase(infos.begin() + first, infos.begin() + last);
  truncate(keep);
  n_prompt = std::min(n_prompt, keep);
  drop_logits();
  return {};
}

Status Session::State::choose(TokenId& id, bool& forced, float& logprob) {
  top_logprobs.clear();
  const auto take_forced = [&] {
    forced = true;
    id = forcing[n_forced_ids++];
    return Status();
  };
  if (is_forcing()) return take_forced();
  forced = false;
  const TokenId banned = restrict_choice();
  PONDER_TRY(restrict_to_grammar());
  Result<TokenId> picked = sampler.pick(logits, tokens, banned, unwanted);
  if (!picked.ok()) {
    finish = picked.status().code() == Code::cancelled ? FinishReason::cancelled : FinishReason::error;
    return std::move(picked).status();
  }
  id = *picked;
  if (replaces(id)) return take_forced();
  logprob = Sampler::logprob(logits, id);
  if (generate.n_top_logprobs > 0) Sampler::top_logprobs(logits, generate.n_top_logprobs, top_logprobs);
  return {};
}

void Session::State::finish_text() {
  if (!detokenizer) return;
  if (reasoning.channel() == Channel::thinking)
    text += detokenizer->finish();
  else if (stop.push(detokenizer->finish(), text))
    finish = FinishReason::stop;
  else
    stop.flush(text);
}

Channel Session::State::push_text(TokenId id, TokenInfo& info) {
  const bool marker = reasoning.is_marker(id);
  const Channel before = reasoning.channel();
  if (marker) finish_text();  // of the channel that ends here
  const Channel counted = reasoning.accept(id);
  info.thinking = counted == Channel::thinking;
  const Channel shown = text.empty() ? counted : before;
  if (marker && reasoning.channel() != before) {
    trim_newlines = true;
    at_line_start = false;
  }
  std::string_view piece;
  const bool ends = (!info.forced || marker) && is_end(id);
  if (!ends && detokenizer && !marker) piece = detokenizer->push(id);
  observe(id, info, before, piece);
  if (ends) {
    finish = FinishReason::stop;
  } else if (detokenizer && !marker) {
    if (trim_newlines) {
      piece.remove_prefix(std::min(piece.find_first_not_of('\n'), piece.size()));
      trim_newlines = piece.empty();
    }
    if (counted == Channel::thinking) {
      text += piece;
      if (!text.empty()) at_line_start = text.back() == '\n';
      if (detokenizer->inside_character()) at_line_start = false;
    } else if (stop.push(piece, text)) {
      finish = FinishReason::stop;
      detokenizer->reset();
    }
  }
  return shown;
}

void Session::State::accept(TokenId id, bool forced, float logprob, TokenEvent& event) {
  text.clear();
  TokenInfo info{true, forced, false};
  const Channel channel = push_text(id, info);
  tokens.push_back(id);
  infos.push_back(info);
  follow_grammar(id, info);
  ++n_generated;
  ++counter(info);
  drop_logits();
  // A blank answer that loops is made to say something first.
  if (finish == FinishReason::none && thinking.answer_loops && !thinking.answer_blank) finish = FinishReason::loop;
  const bool at_limit = (generate.max_new_tokens > 0 && n_generated >= generate.max_new_tokens) ||
                        (tokens.size() >= params.context_length && !generate.context_shift);
  if (finish != FinishReason::none || at_limit) finish_text();
  event = {id, channel, forced, text, logprob, top_logprobs};
}

Status Session::State::emit(Clock::time_point deadline, TokenEvent& event) {
  Status status = must_force() ? Status() : compute(deadline);
  if (status.ok() && ctx.cancelled()) status = Status(Code::cancelled, "cancelled");  // within a pass of several sessions
  if (status.ok() && probe_due()) status = look_at_answer(deadline);
  if (status.code() == Code::cancelled) finish = FinishReason::cancelled;
  PONDER_TRY(std::move(status));
  (void)must_force();  // by what the probe has said
  TokenId id = 0;
  bool forced = false;
  float logprob = 0;
  PONDER_TRY(choose(id, forced, logprob));
  accept(id, forced, logprob, event);
  return {};
}

Status Session::next(TokenEvent& event) { return step(-1, event); }

Clock::time_point Session::deadline_after(std::int64_t budget_us) {
  constexpr std::int64_t kLongestUs = std::int64_t{1} << 40;  // twelve days: as good as none, and no overflow
  if (budget_us < 0 || budget_us > kLongestUs) return Clock::time_point::max();
  return Clock::now() + std::chrono::microseconds(budget_us);
}

Status Session::step(std::int64_t budget_us, TokenEvent& event) {
  State& st = *state_;
  event = {};
  st.text.clear();
  const Clock::time_point deadline = deadline_after(budget_us);
  Status status = st.ready();
  if (status.ok()) status = st.emit(deadline, event);
  if (status.code() != Code::pending) st.write_prompt(deadline);
  return status;
}

}  // namespace ponder::core
