#include "lib/session/scheduler.h"

#include <algorithm>

#include "lib/base/format.h"
#include "lib/session/session_state.h"

namespace ponder::core {

namespace {

constexpr std::size_t kMinBudget = 16, kMaxBudget = 65536;
constexpr std::size_t kMostLogitsRows = 64;  // sessions that get a token in one pass

}  // namespace

Scheduler::~Scheduler() = default;

Result<std::unique_ptr<Scheduler>> Scheduler::create(std::shared_ptr<const Runtime> runtime,
                                                     std::shared_ptr<const Model> model, const SchedulerParams& params) {
  if (!runtime || !model) return Status(Code::invalid_argument, "runtime and model must not be null");
  std::unique_ptr<Scheduler> scheduler(new Scheduler);
  scheduler->params_ = params;
  std::size_t& budget = scheduler->params_.token_budget;
  if (budget == 0) budget = 256;
  if (budget < kMinBudget || budget > kMaxBudget)
    return fail(Code::invalid_argument, "token_budget: {}, want {} to {}", budget, kMinBudget, kMaxBudget);
  if (params.n_threads < 0) return fail(Code::invalid_argument, "n_threads: {}, want 0 or more", params.n_threads);
  scheduler->runtime_ = std::move(runtime);
  scheduler->model_ = std::move(model);
  scheduler->pass_.reserve(budget, budget);
  return scheduler;
}

Scheduler::Member* Scheduler::find(const Session* session) {
  const auto at = std::find_if(members_.begin(), members_.end(), [&](const Member& m) { return m.session == session; });
  return at == members_.end() ? nullptr : &*at;
}

Result<Scheduler::Member*> Scheduler::need(const Session* session) {
  if (Member* member = find(session)) return member;
  return Status(Code::not_found, "the session is not in the batch");
}

Status Scheduler::add(Session& session, std::int32_t priority) {
  const Session::State& st = *session.state_;
  if (st.model != model_) return Status(Code::invalid_argument, "the session belongs to another model than the batch");
  if (find(&session)) return Status(Code::invalid_argument, "the session is in the batch already");
  const DType kv_type = st.kv.layout().type;
  if (!members_.empty() && (st.params.compute != compute_ || kv_type != kv_type_))
    return Status(Code::invalid_argument, "the session has another compute or kv_type than those in the batch");
  members_.reserve(members_.size() + 1);
  order_.reserve(members_.size() + 1);
  if (!members_.empty() && st.ctx.device != device_)
    return Status(Code::invalid_argument, "the session computes on another device than those in the batch");
  if (!forward_ || st.params.compute != compute_ || st.ctx.device != device_) {
    ForwardOptions options;
    options.max_rows = params_.token_budget;
    options.max_logits_rows = std::min(kMostLogitsRows, params_.token_budget);
    options.int8_rows = st.params.compute == Compute::fast;
    Context ctx{&runtime_->kernels, runtime_->pool.get(), params_.n_threads, st.params.compute, nullptr, runtime_->onednn.get()};
    ctx.memory = runtime_->memory;
    ctx.device = st.ctx.device;
    pass_.drop();
    forward_.reset();
    PONDER_ASSIGN(forward_, Forward::create(*model_, ctx, options));
    compute_ = st.params.compute;
    device_ = st.ctx.device;
  }
  kv_type_ = kv_type;
  Member member;
  member.session = &session;
  member.priority = priority;
  members_.push_back(member);
  return {};
}

Status Scheduler::remove(const Session* session) {
  PONDER_ASSIGN(Member* member, need(session));
  pass_.drop();  // the session may be in it, and may be gone; what it had computed is computed again
  members_.erase(members_.begin() + (member - members_.data()));
  return {};
}

Status Scheduler::set_priority(const Session* session, std::int32_t priority) {
  PONDER_ASSIGN(Member* member, need(session));
  member->priority = priority;
  return {};
}

Status Scheduler::set_paused(const Session* session, bool paused) {
  PONDER_ASSIGN(Member* member, need(session));
  member->paused = paused;
  return {};
}

// Rows that the session gets, at most n_rows.
std::size_t Scheduler::serve(Member& member, std::size_t n_rows) {
  std::size_t n = std::min(member.n_wanted, n_rows);
  if (n == member.n_wanted && pass_.n_logits_rows() == std::min(kMostLogitsRows, params_.token_budget)) --n;
  if (n == 0 || (member.decodes && n < member.n_wanted)) return 0;
  pass_.add(*member.session->state_, n);
  member.in_pass = true;
  member.waited = 0;
  member.served = ++n_served_;
  return n;
}

void Scheduler::plan() {
  pass_.clear();
  order_.clear();
  for (Member& member : members_) {
    member.in_pass = false;
    if (!member.claimed || member.paused) continue;
    Session::State& st = *member.session->state_;
    member.n_wanted = st.ready().ok() ? st.n_wanted() : 0;
    member.decodes = member.n_wanted <= kMaxPending;
    if (member.n_wanted > 0) order_.push_back(&member);
  }
  if (order_.empty()) return;
  std::sort(order_.begin(), order_.end(), [](const Member* a, const Member* b) {
    const std::int64_t rank_a = a->priority + a->waited, rank_b = b->priority + b->waited;
    if (rank_a != rank_b) return rank_a > rank_b;
    if (a->served != b->served) return a->served < b->served;
    return a < b;
  });
  for (Member* member : order_) ++member->waited;  // and back to 0 for those who are served
  const Session::State& lead = *order_[0]->session->state_;
  const auto joins = [&](const Member* member) { return member->session->state_->fits_with(lead); };
  const bool has_prompts = std::any_of(order_.begin(), order_.end(), [&](const Member* m) { return !m->decodes && joins(m); });
  const std::size_t kept = has_prompts ? params_.token_budget / 4 : 0;
  std::size_t left = params_.token_budget - kept;
  for (Member* member : order_)
    if (member->decodes && joins(member)) left -= serve(*member, left);
  left += kept;
  for (Member* member : order_)
    if (!member->decodes && joins(member)) left -= serve(*member, left);
}

void Scheduler::emit(std::vector<SchedulerEvent>& events) {
  for (Member& member : members_) {
    if (!member.claimed || member.paused) continue;
    Session::State& st = *member.session->state_;
    SchedulerEvent event;
    event.session = member.session;
    event.status = st.ready();
    if (event.status.ok()) {
      member.told = false;
      if (st.n_wanted() > 0) continue;
      event.status = st.emit(Forward::Clock::time_point::max(), event.token);
    }
    if (!event.status.ok()) {
      if (member.told || event.status.code() == Code::state) continue;
      member.told = true;
    }
    events.push_back(std::move(event));
  }
}

Status Scheduler::step(std::int64_t budget_us, std::vector<SchedulerEvent>& events, const Claim& claim) {
  events.clear();
  events.reserve(members_.size());
  const Forward::Clock::time_point deadline = Session::deadline_after(budget_us);
  for (Member& member : members_) {
    member.claimed = !claim || claim(*member.session);
    if (!member.claimed && member.in_pass) pass_.drop();  // it is not looked at: it may be changing, or gone
  }
  if (!pass_.active() || !pass_.intact()) {
    plan();
    if (pass_.n_members() > 0) {
      const Session::State& lead = *order_[0]->session->state_;
      PONDER_TRY(forward_->set_low_ranks(lead.adapters ? &lead.adapters->low_ranks() : nullptr));
      PONDER_TRY(pass_.begin(*forward_));
    }
  }
  const bool computes = pass_.active();
  if (computes) PONDER_TRY(pass_.advance(deadline));
  emit(events);
  for (const Member& member : members_)
    if (member.claimed && !member.paused) member.session->state_->write_prompt(deadline);
  return computes || !events.empty() ? Status() : Status(Code::end, {});
}

}  // namespace ponder::core
