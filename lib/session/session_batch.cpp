// One decode step of several sessions in one forward pass: the weights are read once for all of them.
#include <algorithm>

#include "lib/base/format.h"
#include "lib/session/session_state.h"

namespace ponder::core {

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
  for (std::size_t next = 0; next < sessions.size();) {
    State* lead = nullptr;
    for (; next < sessions.size(); ++next) {
      State& st = *sessions[next]->state_;
      const std::size_t n = statuses[next].ok() ? st.n_wanted() : 0;
      if (n == 0 || n > kMaxPending) continue;
      if (!lead) {
        lead = &st;
        lead->shared_pass.clear();
      }
      const SharedPass& pass = lead->shared_pass;
      if (pass.n_members() == kMaxLogitsRows || !st.fits_with(*lead) ||
          pass.n_rows() + n > std::max(kMaxLogitsRows, lead->params.prefill_chunk))
        break;
      lead->shared_pass.add(st, n);
    }
    if (!lead) break;
    // When the leading session is cancelled the pass is lost for all: the others compute theirs below.
    if (lead->shared_pass.begin(*lead->forward).ok()) (void)lead->shared_pass.advance(Forward::Clock::time_point::max());
  }

  for (std::size_t i = 0; i < sessions.size(); ++i)
    if (statuses[i].ok()) {
      statuses[i] = sessions[i]->state_->emit(Forward::Clock::time_point::max(), events[i]);
      sessions[i]->state_->write_prompt(Forward::Clock::time_point::max());
    }
  return {};
}

}  // namespace ponder::core
