// Continuous batching: sessions of one model that come and go, each with its own sampling and priority. A step is one
// forward pass over rows of several of them, next tokens of those that decode and chunks of prompts that wait, within a
// budget of tokens; then every session that has what it needs gets its next token.
//
// Who is in a pass: candidates are ordered by priority + number of steps that they wanted rows and got none, so that nobody
// starves; among equals, who was served longest ago. The first decides what can join (compute, kv_type, adapters). Decoding
// sessions come first; a quarter of the budget is kept for prompts when any waits, and all that is left is theirs.
//
// One thread at a time. A session must be removed before it dies. Between two calls sessions may be used in any other way.
#pragma once

#include <functional>
#include <optional>

#include "lib/session/session.h"
#include "lib/session/shared_pass.h"

namespace ponder::core {

struct SchedulerParams {
  std::size_t token_budget = 0;  // rows of one pass; 0: 256
  int n_threads = 0;             // 0: all of the runtime's pool
};

// What became of one session in a step. OK: a token. Anything else as Session::next() would return it: told once, until the
// session can go on.
struct SchedulerEvent {
  Session* session = nullptr;
  Status status;
  TokenEvent token;  // text and top_logprobs: valid until the next call on the session, or step
};

class Scheduler {
 public:
  static Result<std::unique_ptr<Scheduler>> create(std::shared_ptr<const Runtime> runtime,
                                                   std::shared_ptr<const Model> model, const SchedulerParams& params);
  ~Scheduler();

  // The scratch memory is made for the first session; all have its compute and kv_type. invalid_argument: of another model,
  // or in the batch already.
  Status add(Session& session, std::int32_t priority);
  // These three: not_found when it is not in the batch. They look only at the address.
  Status remove(const Session* session);
  Status set_priority(const Session* session, std::int32_t priority);
  Status set_paused(const Session* session, bool paused);
  std::size_t size() const { return members_.size(); }

  // Whether this call may use a session; asked once for each in every call. Those that may not are left out of it.
  using Claim = std::function<bool(Session&)>;
  // One step, or a part of it. OK: events (none when the pass only computed parts of prompts); pending: the budget ran out
  // within the pass, call again, which goes on with it unless one of its sessions was changed; end: nothing to do.
  // budget_us < 0: no limit.
  Status step(std::int64_t budget_us, std::vector<SchedulerEvent>& events, const Claim& claim = {});

 private:
  struct Member {
    Session* session = nullptr;
    std::int32_t priority = 0;
    bool paused = false;
    bool claimed = false;       // in this call
    bool in_pass = false;       // of pass_, as it was planned
    bool told = false;          // that it ended or failed
    std::int64_t waited = 0;    // steps without the rows that it wanted
    std::uint64_t served = 0;   // when it last got rows
    std::size_t n_wanted = 0;   // rows
    bool decodes = false;
  };
  Scheduler() = default;
  Member* find(const Session* session);
  Result<Member*> need(const Session* session);
  void plan();                                    // who is in the next pass: fills pass_, which may stay empty
  std::size_t serve(Member& member, std::size_t n_rows);
  void emit(std::vector<SchedulerEvent>& events);  // next tokens of all that can

  std::shared_ptr<const Runtime> runtime_;
  std::shared_ptr<const Model> model_;
  SchedulerParams params_;
  std::optional<Forward> forward_;
  Compute compute_ = Compute::exact;  // of forward_
  DType kv_type_ = DType::f32;
  std::shared_ptr<ops::Device> device_;  // of forward_; null: the CPU
  std::vector<Member> members_;
  std::vector<Member*> order_;        // candidates of one plan
  SharedPass pass_;
  std::uint64_t n_served_ = 0;
};

}  // namespace ponder::core
