// A call on one session: the NULL check, and the mark that refuses a second call at the same time.
#pragma once

#include "capi/values.h"

namespace ponder::capi {

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
    return {core::Code::state, "the session is in use by another call: only ponder_session_cancel may be called meanwhile"};
  }

 private:
  const ponder_session& session_;
  bool first_;
};

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
