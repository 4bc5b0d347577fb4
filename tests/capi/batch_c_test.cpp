#include <cstring>
#include <map>
#include <thread>

#include "ponder/ponder.hpp"
#include "tests/capi/capi_fixture.h"

using namespace capi_test;

namespace {

using Batch = std::unique_ptr<ponder_batch, Deleter<ponder_batch, ponder_batch_free>>;

Batch make_batch(const Tiny& tiny, std::int32_t token_budget = 0) {
  ponder_batch_params params = ponder_batch_params_default();
  params.token_budget = token_budget;
  ponder_batch* batch = nullptr;
  ponder_error err;
  REQUIRE_MESSAGE(ponder_batch_create(tiny.runtime.get(), tiny.model.get(), &params, &batch, &err) == PONDER_OK, err.message);
  return Batch(batch);
}

Session deferred(const Tiny& tiny, std::string_view question) {
  ponder_session_params params = ponder_session_params_default();
  params.flags = PONDER_SESSION_DEFER_PREFILL;
  params.compute = PONDER_COMPUTE_EXACT;
  Session session = tiny.session(params);
  prompt(session.get(), question_ids(question));
  return session;
}

std::vector<ponder_batch_event> room(std::size_t n) {
  std::vector<ponder_batch_event> events(n);
  for (ponder_batch_event& event : events) event.struct_size = sizeof event;
  return events;
}

// Steps until the end; the ids that each session was given.
std::map<ponder_session*, std::vector<std::int32_t>> run(ponder_batch* batch, std::size_t capacity, std::int64_t budget_us = -1) {
  std::map<ponder_session*, std::vector<std::int32_t>> ids;
  std::vector<ponder_batch_event> events = room(capacity);
  ponder_error err;
  for (;;) {
    std::size_t count = 99;
    const ponder_status status = budget_us < 0 ? ponder_batch_next(batch, events.data(), capacity, &count, &err)
                                               : ponder_batch_step(batch, budget_us, events.data(), capacity, &count, &err);
    if (status == PONDER_END) return ids;
    REQUIRE_MESSAGE(status >= 0, err.message);
    for (std::size_t i = 0; i < count; ++i) {
      CHECK(events[i].struct_size == sizeof events[i]);
      CHECK((events[i].status == PONDER_OK) == (events[i].token != nullptr));
      if (events[i].token) ids[events[i].session].push_back(events[i].token->id);
    }
  }
}

}  // namespace

TEST_CASE("C: a batch gives each session the reply that it gives alone, whole steps and slices") {
  const Tiny tiny;
  const std::string_view questions[] = {"What is 347+85?", "What is 9*8?", "What is 15-8?"};
  for (const std::int64_t budget_us : {-1, 0, 2000}) {
    const Batch batch = make_batch(tiny, 16);
    std::vector<Session> sessions;
    ponder_error err;
    for (std::string_view question : questions) {
      sessions.push_back(deferred(tiny, question));
      REQUIRE_MESSAGE(ponder_batch_add(batch.get(), sessions.back().get(), 0, &err) == PONDER_OK, err.message);
    }
    auto ids = run(batch.get(), 3, budget_us);
    for (std::size_t i = 0; i < 3; ++i) CHECK(ids[sessions[i].get()] == generate(deferred(tiny, questions[i]).get()).ids);
  }
}

TEST_CASE("C: a session that is freed leaves the batch, a batch that is freed leaves its sessions") {
  const Tiny tiny;
  Batch batch = make_batch(tiny);
  Session stays = deferred(tiny, "What is 347+85?"), goes = deferred(tiny, "What is 9*8?");
  ponder_error err;
  REQUIRE(ponder_batch_add(batch.get(), stays.get(), 0, &err) == PONDER_OK);
  REQUIRE(ponder_batch_add(batch.get(), goes.get(), 0, &err) == PONDER_OK);
  std::vector<ponder_batch_event> events = room(2);
  std::size_t count = 0;
  CHECK(ponder_batch_step(batch.get(), 0, events.data(), 2, &count, &err) == PONDER_PENDING);
  goes.reset();
  auto first = room(1);  // room for one is enough now
  REQUIRE_MESSAGE(ponder_batch_next(batch.get(), first.data(), 1, &count, &err) == PONDER_OK, err.message);
  REQUIRE(count == 1);
  std::vector<std::int32_t> ids{first[0].token->id};
  batch.reset();
  const Reply rest = generate(stays.get());
  ids.insert(ids.end(), rest.ids.begin(), rest.ids.end());
  CHECK(ids == generate(deferred(tiny, "What is 347+85?").get()).ids);
}

TEST_CASE("C: a batch tells what became of a session, and refuses what it cannot do") {
  const Tiny tiny;
  const Batch batch = make_batch(tiny);
  const Session session = deferred(tiny, "What is 347+85?"), other = deferred(tiny, "What is 9*8?");
  ponder_error err;
  std::size_t count = 0;
  std::vector<ponder_batch_event> events = room(2);
  CHECK(ponder_batch_next(batch.get(), nullptr, 0, &count, &err) == PONDER_END);
  REQUIRE(ponder_batch_add(batch.get(), session.get(), 0, &err) == PONDER_OK);
  check_error(ponder_batch_add(batch.get(), session.get(), 0, &err), err, PONDER_E_INVALID_ARGUMENT, {"already"});
  check_error(ponder_batch_next(batch.get(), events.data(), 0, &count, &err), err, PONDER_E_BUFFER_TOO_SMALL, {"1 sessions"});
  CHECK(count == 1);
  events[1].struct_size = 16;
  check_error(ponder_batch_next(batch.get(), events.data(), 2, &count, &err), err, PONDER_E_INVALID_ARGUMENT, {"out_events[1]"});
  check_error(ponder_batch_step(batch.get(), -1, events.data(), 1, &count, &err), err, PONDER_E_INVALID_ARGUMENT, {"budget_us"});
  check_error(ponder_batch_remove(batch.get(), other.get(), &err), err, PONDER_E_NOT_FOUND);
  check_error(ponder_batch_set_paused(batch.get(), other.get(), 1, &err), err, PONDER_E_NOT_FOUND);
  check_error(ponder_batch_set_priority(batch.get(), other.get(), 1, &err), err, PONDER_E_NOT_FOUND);
  CHECK(ponder_batch_set_priority(batch.get(), session.get(), 1, &err) == PONDER_OK);
  CHECK(ponder_batch_set_paused(batch.get(), session.get(), 1, &err) == PONDER_OK);
  CHECK(ponder_batch_next(batch.get(), events.data(), 1, &count, &err) == PONDER_END);
  CHECK(ponder_batch_set_paused(batch.get(), session.get(), 0, &err) == PONDER_OK);
  ponder_session_cancel(session.get());
  REQUIRE(ponder_batch_next(batch.get(), events.data(), 1, &count, &err) == PONDER_OK);
  REQUIRE(count == 1);
  CHECK(events[0].status == PONDER_E_CANCELLED);
  CHECK(events[0].session == session.get());
  CHECK(std::string_view(events[0].message) == "cancelled");
  ponder_batch_params params = ponder_batch_params_default();
  params.token_budget = 3;
  ponder_batch* none = reinterpret_cast<ponder_batch*>(8);
  check_error(ponder_batch_create(tiny.runtime.get(), tiny.model.get(), &params, &none, &err), err, PONDER_E_INVALID_ARGUMENT,
              {"token_budget: 3"});
  CHECK(none == nullptr);
}

TEST_CASE("C: a step leaves out a session that another thread uses, and a callback cannot use the batch") {
  const Tiny tiny;
  const Batch batch = make_batch(tiny);
  const Session busy = deferred(tiny, "What is 347+85?"), session = deferred(tiny, "What is 9*8?");
  struct Seen {
    ponder_batch* batch;
    ponder_session* busy;
    ponder_status from_callback = PONDER_OK, in_use = PONDER_OK;
  } seen{batch.get(), busy.get()};
  ponder_generate_params params = ponder_generate_params_default();
  params.sampler = [](void* user_data, float*, std::size_t, std::int32_t*) {
    auto& s = *static_cast<Seen*>(user_data);
    std::size_t count = 0;
    s.from_callback = ponder_batch_next(s.batch, nullptr, 0, &count, nullptr);
    s.in_use = ponder_session_rewind(s.busy, 0, nullptr);
    return std::int32_t{0};
  };
  params.sampler_user_data = &seen;
  ponder_error err;
  REQUIRE(ponder_session_set_params(session.get(), &params, &err) == PONDER_OK);
  for (ponder_session* s : {busy.get(), session.get()}) REQUIRE(ponder_batch_add(batch.get(), s, 0, &err) == PONDER_OK);
  auto ids = run(batch.get(), 2);
  CHECK(seen.from_callback == PONDER_E_STATE);
  CHECK(seen.in_use == PONDER_E_STATE);  // while a step runs, all its sessions are in use
  CHECK(ids.size() == 2);
  CHECK(ids[session.get()] == generate(deferred(tiny, "What is 9*8?").get()).ids);

  // The other way round: a batch's step from within a call on a session.
  struct Inner {
    ponder_batch* batch;
    std::vector<ponder_status> statuses = {};
  } inner{batch.get()};
  prompt(busy.get());
  const ponder_token_fn on_token = [](void* user_data, const ponder_token_event*) {
    auto& in = *static_cast<Inner*>(user_data);
    std::vector<ponder_batch_event> events = room(2);
    std::size_t count = 0;
    in.statuses.push_back(ponder_batch_next(in.batch, events.data(), 2, &count, nullptr));
    return std::int32_t{0};
  };
  CHECK(ponder_session_generate(busy.get(), on_token, &inner, &err) == PONDER_OK);
  CHECK(inner.statuses.size() > 5);
  for (const ponder_status status : inner.statuses) CHECK(status == PONDER_END);  // the other one has ended
}

TEST_CASE("C++: a batch with sessions of its own priorities") {
  const ponder::Model model = ponder::Model::load(kTiny).value();
  ponder::Batch batch = model.batch(32).value();
  std::vector<ponder::Session> sessions;
  std::vector<std::string> answers(2);
  for (std::string_view question : {"What is 347+85?", "What is 9*8?"}) {
    sessions.push_back(model.session({.compute = PONDER_COMPUTE_EXACT, .defer_prefill = true}).value());
    REQUIRE(sessions.back().prompt_ids(question_ids(question)));
  }
  REQUIRE(batch.add(sessions[0]));
  REQUIRE(batch.add(sessions[1], 5));
  CHECK(batch.add(sessions[1]).error().code() == PONDER_E_INVALID_ARGUMENT);
  REQUIRE(batch.set_paused(sessions[1], true));
  REQUIRE(batch.set_paused(sessions[1], false));
  REQUIRE(batch.set_priority(sessions[1], 2));
  int n_ends = 0;
  for (;;) {
    const ponder::Batch::Step step = batch.step(5000).value();
    for (const ponder::Batch::Event& event : step.events) {
      if (event.status == PONDER_END) ++n_ends;
      if (event.token && event.token->channel == ponder::Channel::answer)
        answers[event.session == sessions[0].get() ? 0 : 1] += event.token->text;
    }
    if (step.state == ponder::Batch::State::idle) break;
  }
  CHECK(n_ends == 2);
  CHECK(answers[0] == "\\boxed{432}");
  CHECK(answers[1] == "\\boxed{72}");
  REQUIRE(batch.remove(sessions[0]));
}
