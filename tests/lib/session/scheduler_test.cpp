#include <algorithm>
#include <map>

#include "lib/session/scheduler.h"
#include "tests/lib/session/script.h"

using namespace ponder::core;

namespace {

// Sessions of a batch and what each of them was told, by its place in `sessions`.
struct Crowd {
  explicit Crowd(const SchedulerParams& params = {}) {
    auto made = Scheduler::create(runtime, tiny_r1(), params);
    REQUIRE_MESSAGE(made.ok(), made.status().message());
    scheduler = std::move(*made);
  }
  Session& add(std::string_view question, std::int32_t priority = 0, const GenerateParams& params = {},
               const SessionParams& session_params = {.prefill_chunk = 16, .defer_prefill = true}) {
    auto made = Session::create(runtime, tiny_r1(), session_params);
    REQUIRE_MESSAGE(made.ok(), made.status().message());
    sessions.push_back(std::move(*made));
    REQUIRE(sessions.back()->set_generate_params(params).ok());
    if (!question.empty()) ask(*sessions.back(), question);
    REQUIRE(scheduler->add(*sessions.back(), priority).ok());
    seen.emplace_back();
    ends.emplace_back();
    return *sessions.back();
  }
  std::size_t place(const Session* session) const {
    return static_cast<std::size_t>(std::find_if(sessions.begin(), sessions.end(), [&](const auto& s) { return s.get() == session; }) - sessions.begin());
  }
  Status step(std::int64_t budget_us = -1) {
    Status status = scheduler->step(budget_us, events);
    for (const SchedulerEvent& event : events) {
      const std::size_t i = place(event.session);
      const TokenEvent& t = event.token;
      if (event.status.ok()) seen[i].push_back({t.id, t.channel, t.forced, std::string(t.text), t.logprob});
      else ends[i].push_back(event.status);
    }
    return status;
  }
  // Until there is nothing to do; the number of steps.
  int run(std::int64_t budget_us = -1, int limit = 100000) {
    for (int n = 0; n < limit; ++n) {
      const Status status = step(budget_us);
      if (status.code() == Code::end) return n;
      CHECK((status.ok() || status.code() == Code::pending));
    }
    FAIL("no end");
    return limit;
  }

  std::shared_ptr<const Runtime> runtime = test_runtime();
  std::vector<std::unique_ptr<Session>> sessions;
  std::unique_ptr<Scheduler> scheduler;  // dies first
  std::vector<SchedulerEvent> events;
  std::vector<std::vector<Seen>> seen;
  std::vector<std::vector<Status>> ends;
};

GenerateParams one_token() {
  GenerateParams params;
  params.max_new_tokens = 1;
  return params;
}

GenerateParams without_end() {
  GenerateParams params;
  params.ignore_eos = true;
  return params;
}

std::vector<Seen> alone(std::string_view question, const GenerateParams& params = {}) {
  auto session = test_session();
  REQUIRE(session->set_generate_params(params).ok());
  ask(*session, question);
  return watch(*session);
}

GenerateParams sampled(std::uint64_t seed) {
  GenerateParams params;
  params.sampling.temperature = 1.5f;
  params.sampling.seed = seed;
  params.max_new_tokens = 60;
  return params;
}

const std::string kLong = "What is 12+34? " + std::string(200, ' ') + "And 5+6?";

}  // namespace

TEST_CASE("batch: sessions that come and go get the tokens and log-probabilities of each alone") {
  for (const std::size_t budget : {16, 40, 256}) {
    CAPTURE(budget);
    Crowd crowd({.token_budget = budget});
    GenerateParams forced;
    forced.think_budget = 3;
    crowd.add("What is 347+85?");
    crowd.add("What is 9*8?", 0, sampled(7));
    for (int i = 0; i < 5; ++i) CHECK(crowd.step().ok());
    crowd.add(kLong, 3, sampled(9));
    crowd.add("What is 15-8?", -2, forced);
    for (int i = 0; i < 9; ++i) CHECK(crowd.step().ok());
    crowd.add("What is 3+4?", 0, {}, {});  // its prompt is computed at once
    crowd.run();
    CHECK(crowd.seen[0] == alone("What is 347+85?"));
    CHECK(crowd.seen[1] == alone("What is 9*8?", sampled(7)));
    CHECK(crowd.seen[2] == alone(kLong, sampled(9)));
    CHECK(crowd.seen[3] == alone("What is 15-8?", forced));
    CHECK(crowd.seen[4] == alone("What is 3+4?"));
    for (const auto& ends : crowd.ends) {
      REQUIRE(ends.size() == 1);
      CHECK(ends[0].code() == Code::end);
    }
  }
}

TEST_CASE("batch: steps in slices of time give the same, also when a session is changed within a pass") {
  Crowd crowd({.token_budget = 32});
  crowd.add("What is 347+85?");
  crowd.add(kLong, 0, sampled(9));
  crowd.add("What is 9*8?", 0, sampled(7));
  crowd.add("What is 3+4?");
  CHECK(crowd.step(0).code() == Code::pending);
  CHECK(crowd.events.empty());
  ask(*crowd.sessions[3], "What is 15-8?");  // gives the pass up
  CHECK(crowd.step(0).code() == Code::pending);
  {
    const auto fork = crowd.sessions[0]->fork();
    REQUIRE(fork.ok());
    CHECK(watch(**fork) == alone("What is 347+85?"));
  }
  while (crowd.step(0).code() == Code::pending) {
  }
  crowd.run(0);
  CHECK(crowd.seen[0] == alone("What is 347+85?"));
  CHECK(crowd.seen[1] == alone(kLong, sampled(9)));
  CHECK(crowd.seen[2] == alone("What is 9*8?", sampled(7)));
  CHECK(crowd.seen[3] == alone("What is 15-8?"));
}

TEST_CASE("batch: a session that is removed and dies within a pass takes nobody along, one that is used alone goes on") {
  Crowd crowd;
  crowd.add("What is 347+85?");
  crowd.add("What is 9*8?");
  crowd.add("What is 3+4?");
  REQUIRE(crowd.step(0).code() == Code::pending);
  REQUIRE(crowd.scheduler->remove(crowd.sessions[1].get()).ok());
  crowd.sessions[1].reset();
  while (crowd.step(0).code() == Code::pending) {
  }
  TokenEvent event;
  const std::vector<Seen> want = alone("What is 3+4?");
  REQUIRE(crowd.sessions[2]->next(event).ok());  // its second token, between two steps
  CHECK(event.id == want[1].id);
  crowd.run();
  CHECK(crowd.seen[0] == alone("What is 347+85?"));
  CHECK(crowd.seen[2].size() == want.size() - 1);
  CHECK(crowd.seen[2].back() == want.back());
}

TEST_CASE("batch: more sessions than a pass has room for are all served") {
  Crowd crowd({.token_budget = 16});
  const std::vector<Seen> want = alone("What is 3+4?");
  for (int i = 0; i < 70; ++i) crowd.add("What is 3+4?", i % 3, {}, {.context_length = 80, .prefill_chunk = 16, .defer_prefill = true});
  crowd.run();
  for (const auto& seen : crowd.seen) CHECK(seen == want);
}

TEST_CASE("batch: the greater priority is served first, and nobody waits for ever") {
  Crowd crowd({.token_budget = 16});
  crowd.add(kLong, 0, one_token());
  crowd.add(kLong, 4, one_token());
  std::vector<std::size_t> first_token(2, 0);
  for (std::size_t n = 1; crowd.step().ok(); ++n)
    for (std::size_t i = 0; i < 2; ++i)
      if (!crowd.seen[i].empty() && first_token[i] == 0) first_token[i] = n;
  CHECK(first_token[1] < first_token[0]);

  // A prompt of low priority moves on while others of high priority keep coming.
  Crowd busy({.token_budget = 16});
  busy.add(kLong, 0, one_token());
  Session& urgent = busy.add(kLong, 5, one_token());
  int n_steps = 0;
  while (busy.seen[0].empty() && n_steps < 1000) {
    REQUIRE(busy.step().ok());
    ++n_steps;
    if (urgent.finish_reason() != FinishReason::none || !busy.seen[1].empty()) {
      busy.seen[1].clear();
      REQUIRE(urgent.rewind(0).ok());
      ask(urgent, kLong);
    }
  }
  CHECK(n_steps < 200);
}

TEST_CASE("batch: next tokens come before prompts, prompts keep a quarter of the budget") {
  Crowd crowd({.token_budget = 16});
  for (int i = 0; i < 14; ++i) crowd.add("What is 3+4?", 0, without_end());
  while (std::any_of(crowd.seen.begin(), crowd.seen.end(), [](const auto& s) { return s.empty(); })) REQUIRE(crowd.step().ok());
  Session& prompt = crowd.add(kLong, -100);
  std::vector<std::size_t> before;
  for (const auto& seen : crowd.seen) before.push_back(seen.size());
  constexpr std::size_t kSteps = 14;
  for (std::size_t n = 0; n < kSteps; ++n) REQUIRE(crowd.step().ok());
  // 12 of 14 in each step, and 4 rows of the prompt.
  for (std::size_t i = 0; i < 14; ++i) CHECK(crowd.seen[i].size() - before[i] == 12);
  REQUIRE(crowd.scheduler->remove(&prompt).ok());
  CHECK(prompt.logits().ok());
  CHECK(crowd.seen[14].empty());
}

TEST_CASE("batch: a paused session gets nothing and goes on where it was") {
  Crowd crowd;
  crowd.add("What is 347+85?");
  crowd.add("What is 3+4?");
  for (int i = 0; i < 4; ++i) REQUIRE(crowd.step().ok());
  REQUIRE(crowd.scheduler->set_paused(crowd.sessions[0].get(), true).ok());
  const std::size_t n_seen = crowd.seen[0].size();
  REQUIRE(n_seen > 0);
  crowd.run();
  CHECK(crowd.seen[0].size() == n_seen);
  CHECK(crowd.seen[1] == alone("What is 3+4?"));
  REQUIRE(crowd.scheduler->set_paused(crowd.sessions[0].get(), false).ok());
  crowd.run();
  CHECK(crowd.seen[0] == alone("What is 347+85?"));
}

TEST_CASE("batch: what fails, is cancelled or has no prompt leaves the others alone and is told once") {
  Crowd crowd;
  crowd.add("What is 347+85?");
  Session& broken = crowd.add("What is 3+4?");
  Session& cancelled = crowd.add("What is 9*8?");
  Session& silent = crowd.add("");
  GenerateParams params;
  params.sampling.user_sampler.fn = [](void*, float*, std::size_t, TokenId* out_id) { return *out_id = 100000, 0; };
  REQUIRE(broken.set_generate_params(params).ok());
  for (int i = 0; i < 4; ++i) REQUIRE(crowd.step().ok());
  cancelled.cancel();
  crowd.run();
  CHECK(crowd.seen[0] == alone("What is 347+85?"));
  REQUIRE(crowd.ends[1].size() == 1);
  CHECK(crowd.ends[1][0].code() == Code::invalid_argument);
  REQUIRE(crowd.ends[2].size() == 1);
  CHECK(crowd.ends[2][0].code() == Code::cancelled);
  CHECK(crowd.ends[3].empty());
  // Prompted again, all of them go on.
  for (auto* seen : {&crowd.seen[1], &crowd.seen[2], &crowd.seen[3]}) seen->clear();
  REQUIRE(broken.set_generate_params({}).ok());
  for (Session* session : {&broken, &cancelled, &silent}) ask(*session, "What is 15-8?");
  crowd.run();
  for (const std::size_t i : {1, 2, 3}) {
    CHECK(crowd.seen[i] == alone("What is 15-8?"));
    CHECK(crowd.ends[i].back().code() == Code::end);
  }
}

TEST_CASE("batch: a session that this call may not use is left out, and its pass is given up") {
  Crowd crowd;
  crowd.add("What is 347+85?");
  crowd.add("What is 3+4?");
  REQUIRE(crowd.step(0).code() == Code::pending);
  const auto not_first = [&](Session& session) { return &session != crowd.sessions[0].get(); };
  for (int i = 0; i < 3; ++i) {
    REQUIRE(crowd.scheduler->step(-1, crowd.events, not_first).ok());
    for (const SchedulerEvent& event : crowd.events) {
      CHECK(event.session == crowd.sessions[1].get());
      crowd.seen[1].push_back({event.token.id, event.token.channel, event.token.forced, std::string(event.token.text), event.token.logprob});
    }
  }
  CHECK(crowd.sessions[0]->tokens().size() == 20);
  crowd.run();
  CHECK(crowd.seen[0] == alone("What is 347+85?"));
  CHECK(crowd.seen[1] == alone("What is 3+4?"));
}

TEST_CASE("batch: a full context shifts as alone, and ends as alone") {
  GenerateParams shift;
  shift.context_shift = true;
  shift.ignore_eos = true;
  shift.max_new_tokens = 70;
  const SessionParams small{.context_length = 48, .prefill_chunk = 16, .defer_prefill = true};
  auto one = test_session({.context_length = 48});
  REQUIRE(one->set_generate_params(shift).ok());
  ask(*one, "What is 3+4?");
  Crowd crowd({.token_budget = 16});
  crowd.add("What is 3+4?", 0, shift, small);
  crowd.add("What is 9*8?", 0, without_end(), small);
  crowd.run();
  CHECK(crowd.seen[0] == watch(*one));
  REQUIRE(crowd.ends[1].size() == 1);
  CHECK(crowd.ends[1][0].code() == Code::context_full);
}

TEST_CASE("batch: what cannot be in a batch, and numbers out of range, are refused") {
  Crowd crowd;
  Session& first = crowd.add("What is 3+4?");
  CHECK(crowd.scheduler->add(first, 0).code() == Code::invalid_argument);
  auto fast = test_session({.compute = Compute::fast}), f16 = test_session({.kv_type = DType::f16}), other = test_session();
  CHECK(crowd.scheduler->add(*fast, 0).code() == Code::invalid_argument);
  CHECK(crowd.scheduler->add(*f16, 0).code() == Code::invalid_argument);
  CHECK(crowd.scheduler->remove(other.get()).code() == Code::not_found);
  CHECK(crowd.scheduler->set_paused(other.get(), true).code() == Code::not_found);
  CHECK(crowd.scheduler->set_priority(other.get(), 1).code() == Code::not_found);
  REQUIRE(crowd.scheduler->remove(&first).ok());
  CHECK(crowd.scheduler->add(*fast, 0).ok());  // the first of an empty batch says what the others must be
  REQUIRE(crowd.scheduler->remove(fast.get()).ok());
  for (const SchedulerParams& params : {SchedulerParams{15, 0}, SchedulerParams{65537, 0}, SchedulerParams{16, -1}})
    CHECK(Scheduler::create(crowd.runtime, tiny_r1(), params).status().code() == Code::invalid_argument);
  const auto model = Model::load(folder_source(std::string(PONDER_TEST_DATA "/models/qwen2-tiny")), {});
  REQUIRE(model.ok());
  auto of_other_model = Session::create(crowd.runtime, *model, {});
  REQUIRE(of_other_model.ok());
  CHECK(crowd.scheduler->add(**of_other_model, 0).code() == Code::invalid_argument);
}
