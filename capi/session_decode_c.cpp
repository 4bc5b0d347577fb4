// Sessions: one token, a slice of time, a batch, a whole reply.
#include <algorithm>

#include "capi/session_call.h"
#include "lib/base/format.h"

namespace {

using namespace ponder;
using core::Code;
using core::Session;
using core::Status;
using core::TokenEvent;

static_assert(static_cast<int>(core::Channel::answer) == PONDER_CHANNEL_ANSWER);
static_assert(static_cast<int>(core::Channel::thinking) == PONDER_CHANNEL_THINKING);
static_assert(static_cast<int>(core::ThinkEnd::none) == PONDER_THINK_END_NONE);
static_assert(static_cast<int>(core::ThinkEnd::model) == PONDER_THINK_END_MODEL);
static_assert(static_cast<int>(core::ThinkEnd::budget) == PONDER_THINK_END_BUDGET);
static_assert(static_cast<int>(core::ThinkEnd::grace_cut) == PONDER_THINK_END_GRACE_CUT);
static_assert(static_cast<int>(core::ThinkEnd::early_exit) == PONDER_THINK_END_EARLY_EXIT);
static_assert(static_cast<int>(core::ThinkEnd::loop) == PONDER_THINK_END_LOOP);
static_assert(static_cast<int>(core::ThinkEnd::user) == PONDER_THINK_END_USER);
static_assert(static_cast<int>(core::FinishReason::none) == PONDER_FINISH_NONE);
static_assert(static_cast<int>(core::FinishReason::stop) == PONDER_FINISH_STOP);
static_assert(static_cast<int>(core::FinishReason::length) == PONDER_FINISH_LENGTH);
static_assert(static_cast<int>(core::FinishReason::loop) == PONDER_FINISH_LOOP);
static_assert(static_cast<int>(core::FinishReason::cancelled) == PONDER_FINISH_CANCELLED);
static_assert(static_cast<int>(core::FinishReason::error) == PONDER_FINISH_ERROR);

Status check_event(const ponder_token_event* out_event) {
  PONDER_TRY(capi::need({{"out_event", out_event}}));
  return capi::check_out("ponder_token_event", out_event);
}

// Marks several sessions as in use; those already marked are given back when one is refused.
class AllInUse {
 public:
  explicit AllInUse(std::size_t n_sessions) { marked_.reserve(n_sessions); }  // so that add() cannot fail half-way
  ~AllInUse() {
    for (const ponder_session* session : marked_) session->busy.store(false, std::memory_order_release);
  }
  Status add(const ponder_session* session, std::size_t index) {
    if (!session->busy.exchange(true, std::memory_order_acquire)) {
      marked_.push_back(session);
      return {};
    }
    if (const auto at = std::find(marked_.begin(), marked_.end(), session); at != marked_.end())
      return core::fail(Code::invalid_argument, "sessions[{}] and sessions[{}] are the same", at - marked_.begin(), index);
    return core::fail(Code::state, "sessions[{}] is in use by another call", index);
  }

 private:
  std::vector<const ponder_session*> marked_;
};

}  // namespace

ponder_token_event ponder::capi::to_c(const core::TokenEvent& from, ponder_session& session) {
  session.top_logprobs.clear();
  for (const core::TokenLogprob& top : from.top_logprobs) session.top_logprobs.push_back({top.id, top.logprob});
  ponder_token_event event{};
  event.struct_size = sizeof event;
  event.id = from.id;
  event.channel = static_cast<ponder_channel>(from.channel);
  event.forced = from.forced;
  event.text = from.text.data() ? from.text.data() : "";
  event.text_len = from.text.size();
  event.top_logprobs = session.top_logprobs.data();
  event.n_top_logprobs = session.top_logprobs.size();
  event.logprob = from.logprob;
  return event;
}

ponder_status PONDER_CALL ponder_session_next(ponder_session* session, ponder_token_event* out_event,
                                              ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    PONDER_TRY(check_event(out_event));
    TokenEvent event;
    PONDER_TRY(s.next(event));
    capi::write_out(capi::to_c(event, *session), out_event);
    return {};
  });
}

ponder_status PONDER_CALL ponder_session_step(ponder_session* session, int64_t budget_us, ponder_token_event* out_event,
                                              ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    PONDER_TRY(check_event(out_event));
    if (budget_us < 0) return core::fail(Code::invalid_argument, "budget_us: {}, want 0 or more", budget_us);
    constexpr int64_t kDay = int64_t{24} * 3600 * 1000 * 1000;  // beyond it the clock would overflow
    TokenEvent event;
    PONDER_TRY(s.step(std::min(budget_us, kDay), event));
    capi::write_out(capi::to_c(event, *session), out_event);
    return {};
  });
}

ponder_status PONDER_CALL ponder_session_next_batch(ponder_session* const* sessions, size_t n_sessions,
                                                    ponder_token_event* events, ponder_status* statuses,
                                                    ponder_error* err) noexcept {
  ponder_status first_error = PONDER_OK;
  const ponder_status result = capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"sessions", sessions}, {"events", events}, {"statuses", statuses}}));
    if (n_sessions == 0) return {};
    PONDER_TRY(capi::check_out("ponder_token_event", events));
    const std::size_t stride = events->struct_size;
    const auto event_at = [&](std::size_t i) {
      return reinterpret_cast<ponder_token_event*>(reinterpret_cast<unsigned char*>(events) + i * stride);
    };
    for (std::size_t i = 0; i < n_sessions; ++i)
      if (event_at(i)->struct_size != stride)
        return core::fail(Code::invalid_argument, "events[{}].struct_size is {}, want that of events[0], {}", i,
                          event_at(i)->struct_size, stride);
    AllInUse in_use(n_sessions);
    std::vector<Session*> list(n_sessions);
    for (std::size_t i = 0; i < n_sessions; ++i) {
      if (!sessions[i]) return core::fail(Code::invalid_argument, "sessions[{}] must not be NULL", i);
      PONDER_TRY(in_use.add(sessions[i], i));
      list[i] = sessions[i]->session.get();
    }
    std::vector<TokenEvent> core_events(n_sessions);
    std::vector<Status> core_statuses(n_sessions);
    PONDER_TRY(Session::next_batch(list, core_events, core_statuses));
    for (std::size_t i = 0; i < n_sessions; ++i) {
      statuses[i] = static_cast<ponder_status>(core_statuses[i].code());
      if (core_statuses[i].ok()) capi::write_out(capi::to_c(core_events[i], *sessions[i]), event_at(i));
    }
    for (std::size_t i = 0; i < n_sessions; ++i)
      if (statuses[i] < 0) {
        first_error = statuses[i];
        return std::move(core_statuses[i]).with_prefix(core::formatted("sessions[{}]", i));
      }
    return {};
  });
  return first_error < 0 && result == first_error ? PONDER_OK : result;
}

ponder_status PONDER_CALL ponder_session_generate(ponder_session* session, ponder_token_fn on_token, void* user_data,
                                                  ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    core::HostAsked asked("on_token");
    for (;;) {
      TokenEvent event;
      Status status = s.next(event);
      if (status.code() == Code::end) return {};
      PONDER_TRY(std::move(status));
      const ponder_token_event c_event = capi::to_c(event, *session);
      if (on_token && !asked.go_on([&] { return on_token(user_data, &c_event); }))
        return asked.status(Status(Code::cancelled, "stopped by on_token"));
    }
  });
}

void PONDER_CALL ponder_session_cancel(ponder_session* session) noexcept {
  if (session) session->session->cancel();
}

void PONDER_CALL ponder_session_stop_thinking(ponder_session* session) noexcept {
  if (session) session->session->stop_thinking();
}

ponder_finish PONDER_CALL ponder_session_finish_reason(const ponder_session* session) noexcept {
  return session ? static_cast<ponder_finish>(session->session->finish_reason()) : PONDER_FINISH_NONE;
}

ponder_channel PONDER_CALL ponder_session_next_channel(const ponder_session* session) noexcept {
  return session ? static_cast<ponder_channel>(session->session->channel()) : PONDER_CHANNEL_ANSWER;
}
