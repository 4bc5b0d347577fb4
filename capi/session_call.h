// A call on one session: the NULL check, and the mark that refuses a second call at the same time.
#pragma once

#include "capi/values.h"

namespace ponder::capi {

// The handle of a new session; publish() it when all is done.
inline std::shared_ptr<ponder_session> new_session(std::shared_ptr<const Runtime> runtime) {
  auto handle = std::make_shared<ponder_session>();
  handle->runtime = std::move(runtime);
  handle->top_logprobs.reserve(core::GenerateParams::kMaxTopLogprobs);
  return handle;
}
inline ponder_session* publish(std::shared_ptr<ponder_session> handle) {
  ponder_session* session = handle.get();
  session->self = std::move(handle);
  return session;
}

class InUse {
 public:
  explicit InUse(const ponder_session& session) : session_(session), first_(!session.busy.exchange(true, std::memory_order_acquire)) {}
  ~InUse() {
    if (first_) session_.busy.store(false, std::memory_order_release);
  }
  InUse(const InUse&) = delete;
  InUse& operator=(const InUse&) = delete;
  core::Status status() const {
    if (first_) return {};
    return {core::Code::state, "the session is in use by another call: only ponder_session_cancel and _stop_thinking may be called meanwhile"};
  }

 private:
  const ponder_session& session_;
  bool first_;
};

// The event as the host sees it. The alternatives go to the session: allocates nothing, as room for the most was made at
// creation.
ponder_token_event to_c(const core::TokenEvent& from, ponder_session& session);

// f(session's core object) inside guarded().
template <class F>
ponder_status on_session(const ponder_session* session, ponder_error* err, F&& f) noexcept {
  return guarded(err, [&]() -> core::Status {
    PONDER_TRY(need({{"session", session}}));
    const InUse in_use(*session);
    PONDER_TRY(in_use.status());
    return f(*session->session);
  });
}

}  // namespace ponder::capi
