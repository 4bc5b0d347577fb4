// One decode step of several sessions in one forward pass: the weights are read once for all of them.
#include <algorithm>
#include <array>

#include "lib/base/format.h"
#include "lib/session/session_state.h"

namespace ponder::core {

namespace {

// Tokens of one session that a batched step computes: the last one and those of a forced end of thinking before it.
constexpr std::size_t kMaxPending = 4;
static_assert(kMaxPending <= kMaxLogitsRows);  // rows that every session's pass has room for

}  // namespace

Status Session::next_batch(std::span<Session* const> sessions, std::span<TokenEvent> events,
                           std::span<Status> statuses) {
  if (sessions.empty()) return {};
  if (events.size() < sessions.size() || statuses.size() < sessions.size())
    return fail(Code::invalid_argument, "{} sessions, but room for {} events and {} statuses", sessions.size(),
                events.size(), statuses.size());
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    if (!sessions[i]) return fail(Code::invalid_argument, "sessions[{}] is null", i);
    if (sessions[i]->state_->model != sessions[0]->state_->model)
      return fail(Code::invalid_argument, "sessions[{}] belongs to another model than sessions[0]", i);
    for (std::size_t k = 0; k < i; ++k)
      if (sessions[k] == sessions[i]) return fail(Code::invalid_argument, "sessions[{}] and sessions[{}] are the same", k, i);
  }
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    State& st = *sessions[i]->state_;
    events[i] = {};
    st.text.clear();
    statuses[i] = st.ready();
  }

  // Groups that fit one pass of their first session; what alone is too long for that is computed by itself below.
  const auto wants_pass = [&](std::size_t i) {
    State& st = *sessions[i]->state_;
    if (!statuses[i].ok() || st.must_force() || st.logits_valid) return false;
    if (st.n_pending() == 0) st.kv.truncate(st.tokens.size() - 1);
    return st.n_pending() <= kMaxPending;
  };
  std::array<std::size_t, kMaxLogitsRows> members;
  std::array<SequenceRows, kMaxLogitsRows> sequences;
  std::array<std::size_t, kMaxLogitsRows> last_rows;
  std::array<TokenId, kMaxPending * kMaxLogitsRows> ids;
  for (std::size_t next = 0; next < sessions.size();) {
    std::size_t n_members = 0, n_rows = 0;
    for (; next < sessions.size() && n_members < kMaxLogitsRows; ++next) {
      if (!wants_pass(next)) continue;
      State& st = *sessions[next]->state_;
      State& lead = n_members == 0 ? st : *sessions[members[0]]->state_;
      const std::size_t n = st.n_pending();
      if (n_members > 0 && (n_rows + n > std::max(kMaxLogitsRows, lead.params.prefill_chunk) ||
                            st.params.compute != lead.params.compute || st.kv.layout().type != lead.kv.layout().type))
        break;
      std::copy(st.tokens.end() - static_cast<std::ptrdiff_t>(n), st.tokens.end(), ids.begin() + static_cast<std::ptrdiff_t>(n_rows));
      members[n_members] = next;
      sequences[n_members] = {&st.kv, n_rows, n};
      n_rows += n;
      last_rows[n_members++] = n_rows - 1;
    }
    if (n_members == 0) break;
    for (std::size_t m = 0; m < n_members; ++m) sessions[members[m]]->state_->pass_active = false;
    State& lead = *sessions[members[0]]->state_;
    const Forward::Clock::time_point start = Forward::Clock::now();
    const Status status = lead.forward->run({std::span<const TokenId>(ids).first(n_rows),
                                            std::span<const SequenceRows>(sequences).first(n_members),
                                            std::span<const std::size_t>(last_rows).first(n_members)});
    const double ms = std::chrono::duration<double, std::milli>(Forward::Clock::now() - start).count();
    // When the leading session was cancelled the pass is lost for all: the others compute theirs below.
    if (!status.ok()) continue;
    for (std::size_t m = 0; m < n_members; ++m) {
      State& st = *sessions[members[m]]->state_;
      const float* row = lead.forward->logits().row(m);
      std::copy(row, row + st.logits.size(), st.logits.begin());
      st.logits_valid = true;
      st.stats.decode_ms += ms;
    }
  }

  for (std::size_t i = 0; i < sessions.size(); ++i) {
    if (!statuses[i].ok()) continue;
    State& st = *sessions[i]->state_;
    if (!st.must_force()) statuses[i] = st.compute(Forward::Clock::time_point::max());
    if (st.ctx.cancelled()) statuses[i] = Status(Code::cancelled, "cancelled");  // within another session's pass
    if (statuses[i].code() == Code::cancelled) st.finish = FinishReason::cancelled;
    TokenId id = 0;
    bool forced = false;
    float logprob = 0;
    if (statuses[i].ok()) statuses[i] = st.choose(id, forced, logprob);
    if (statuses[i].ok()) st.accept(id, forced, logprob, events[i]);
  }
  return {};
}

}  // namespace ponder::core
