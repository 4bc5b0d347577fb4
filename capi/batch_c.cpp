// Batches: several sessions computed together.
#include <algorithm>

#include "capi/session_call.h"
#include "lib/base/format.h"
#include "lib/session/scheduler.h"

struct ponder_batch {
  struct Entry {
    std::weak_ptr<ponder_session> session;
    const ponder::core::Session* core = nullptr;  // its address, also when it is gone
  };
  std::shared_ptr<const ponder::capi::Runtime> runtime;
  std::unique_ptr<ponder::core::Scheduler> scheduler;
  std::vector<Entry> entries;  // those of the scheduler
  std::atomic<bool> busy{false};
  // Of the last step.
  std::vector<ponder::core::SchedulerEvent> events;
  std::vector<ponder_token_event> tokens;
};

namespace {

using namespace ponder;
using core::Code;
using core::Status;

// f(batch) inside guarded(), one call at a time.
template <class F>
ponder_status on_batch(ponder_batch* batch, ponder_error* err, F&& f) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"batch", batch}}));
    if (batch->busy.exchange(true, std::memory_order_acquire)) return {Code::state, "the batch is in use by another call"};
    struct Done {
      ponder_batch* batch;
      ~Done() { batch->busy.store(false, std::memory_order_release); }
    } done{batch};
    // Sessions that were freed leave.
    std::erase_if(batch->entries, [&](const ponder_batch::Entry& entry) {
      return entry.session.expired() && batch->scheduler->remove(entry.core).ok();
    });
    return f(*batch);
  });
}

// As on_batch, of one session in it.
template <class F>
ponder_status on_member(ponder_batch* batch, const ponder_session* session, ponder_error* err, F&& f) noexcept {
  return on_batch(batch, err, [&](ponder_batch& b) -> Status {
    PONDER_TRY(capi::need({{"session", session}}));
    return f(b, session->session.get());
  });
}

ponder_status step(ponder_batch* batch, int64_t budget_us, ponder_batch_event* out_events, size_t capacity, size_t* out_count,
                   ponder_error* err) noexcept {
  return on_batch(batch, err, [&](ponder_batch& b) -> Status {
    PONDER_TRY(capi::need({{"out_count", out_count}}));
    PONDER_TRY(capi::need_array("out_events", out_events, capacity));
    *out_count = 0;
    if (capacity < b.scheduler->size()) {
      *out_count = b.scheduler->size();
      return core::fail(Code::buffer_too_small, "room for {} events, the batch has {} sessions", capacity, *out_count);
    }
    if (capacity > 0) PONDER_TRY(capi::check_out("ponder_batch_event", out_events));
    const std::size_t stride = capacity > 0 ? out_events->struct_size : 0;
    const auto event_at = [&](std::size_t i) {
      return reinterpret_cast<ponder_batch_event*>(reinterpret_cast<unsigned char*>(out_events) + i * stride);
    };
    for (std::size_t i = 1; i < capacity; ++i)
      if (event_at(i)->struct_size != stride)
        return core::fail(Code::invalid_argument, "out_events[{}].struct_size is {}, want that of out_events[0], {}", i,
                          event_at(i)->struct_size, stride);

    // Those that another call uses, or that are freed meanwhile, are left out; the rest stays ours until the end.
    std::vector<std::shared_ptr<ponder_session>> ours;
    std::vector<std::unique_ptr<capi::InUse>> in_use;  // dies first
    const auto claim = [&](core::Session& session) {
      const auto entry = std::find_if(b.entries.begin(), b.entries.end(), [&](const auto& e) { return e.core == &session; });
      std::shared_ptr<ponder_session> handle = entry->session.lock();
      if (!handle) return false;
      auto mark = std::make_unique<capi::InUse>(*handle);
      if (!mark->status().ok()) return false;
      in_use.push_back(std::move(mark));
      ours.push_back(std::move(handle));
      return true;
    };
    ours.reserve(b.entries.size());
    in_use.reserve(b.entries.size());
    b.tokens.clear();
    b.tokens.reserve(b.entries.size());
    Status status = b.scheduler->step(budget_us, b.events, claim);
    for (const core::SchedulerEvent& from : b.events) {
      const auto handle = std::find_if(ours.begin(), ours.end(), [&](const auto& s) { return s->session.get() == from.session; });
      ponder_batch_event event{};
      event.status = static_cast<ponder_status>(from.status.code());
      event.session = handle->get();
      if (from.status.ok()) {
        b.tokens.push_back(capi::to_c(from.token, **handle));
        event.token = &b.tokens.back();
      }
      event.message = from.status.message().c_str();
      capi::write_out(event, event_at((*out_count)++));
    }
    return status;
  });
}

}  // namespace

ponder_status PONDER_CALL ponder_batch_create(ponder_runtime* runtime, ponder_model* model, const ponder_batch_params* params,
                                              ponder_batch** out_batch, ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"out_batch", out_batch}}));
    *out_batch = nullptr;
    PONDER_TRY(capi::need({{"runtime", runtime}, {"model", model}}));
    ponder_batch_params p;
    PONDER_TRY(capi::read_params("ponder_batch_params", params, p));
    PONDER_TRY(capi::check_flags("ponder_batch_params.flags", p.flags, 0));
    if (p.token_budget < 0) return core::fail(Code::invalid_argument, "token_budget: {}, want 0 or more", p.token_budget);
    auto handle = std::make_unique<ponder_batch>();
    handle->runtime = runtime->shared;
    PONDER_ASSIGN(handle->scheduler, core::Scheduler::create(runtime->shared, model->shared,
                                                             {static_cast<std::size_t>(p.token_budget), p.n_threads}));
    *out_batch = handle.release();
    return {};
  });
}

void PONDER_CALL ponder_batch_free(ponder_batch* batch) noexcept { delete batch; }

ponder_status PONDER_CALL ponder_batch_add(ponder_batch* batch, ponder_session* session, int32_t priority,
                                           ponder_error* err) noexcept {
  return on_batch(batch, err, [&](ponder_batch& b) -> Status {
    PONDER_TRY(capi::need({{"session", session}}));
    const capi::InUse in_use(*session);
    PONDER_TRY(in_use.status());
    b.entries.reserve(b.entries.size() + 1);
    PONDER_TRY(b.scheduler->add(*session->session, priority));
    b.entries.push_back({session->self, session->session.get()});
    return {};
  });
}

ponder_status PONDER_CALL ponder_batch_remove(ponder_batch* batch, ponder_session* session, ponder_error* err) noexcept {
  return on_member(batch, session, err, [&](ponder_batch& b, const core::Session* member) -> Status {
    PONDER_TRY(b.scheduler->remove(member));
    std::erase_if(b.entries, [&](const ponder_batch::Entry& entry) { return entry.core == member; });
    return {};
  });
}

ponder_status PONDER_CALL ponder_batch_set_priority(ponder_batch* batch, ponder_session* session, int32_t priority,
                                                    ponder_error* err) noexcept {
  return on_member(batch, session, err, [&](ponder_batch& b, const core::Session* member) {
    return b.scheduler->set_priority(member, priority);
  });
}

ponder_status PONDER_CALL ponder_batch_set_paused(ponder_batch* batch, ponder_session* session, int32_t paused,
                                                  ponder_error* err) noexcept {
  return on_member(batch, session, err, [&](ponder_batch& b, const core::Session* member) {
    return b.scheduler->set_paused(member, paused != 0);
  });
}

ponder_status PONDER_CALL ponder_batch_next(ponder_batch* batch, ponder_batch_event* out_events, size_t capacity,
                                            size_t* out_count, ponder_error* err) noexcept {
  return step(batch, -1, out_events, capacity, out_count, err);
}

ponder_status PONDER_CALL ponder_batch_step(ponder_batch* batch, int64_t budget_us, ponder_batch_event* out_events,
                                            size_t capacity, size_t* out_count, ponder_error* err) noexcept {
  if (budget_us < 0)
    return capi::guarded(err, [&] { return core::fail(Code::invalid_argument, "budget_us: {}, want 0 or more", budget_us); });
  return step(batch, budget_us, out_events, capacity, out_count, err);
}
