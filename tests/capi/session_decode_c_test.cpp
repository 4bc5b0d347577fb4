// Sessions: callbacks that stop, the host's sampler, time slices, batches, cancellation, misuse.
#include <atomic>
#include <cmath>
#include <cstring>
#include <thread>

#include "tests/capi/capi_fixture.h"

using namespace capi_test;

namespace {

ponder_token_event new_event() {
  ponder_token_event event{};
  event.struct_size = sizeof event;
  return event;
}

}  // namespace

TEST_CASE("generate hands out every token and ends with OK") {
  const Tiny tiny;
  const Session session = tiny.session();
  prompt(session.get());
  std::string answer;
  ponder_error err;
  const ponder_status status = ponder_session_generate(
      session.get(),
      [](void* user, const ponder_token_event* event) -> std::int32_t {
        CHECK(event->struct_size == sizeof *event);
        if (event->channel == PONDER_CHANNEL_ANSWER) static_cast<std::string*>(user)->append(event->text, event->text_len);
        return 0;
      },
      &answer, &err);
  CHECK_MESSAGE(status == PONDER_OK, err.message);
  CHECK(answer == "\\boxed{432}");
  CHECK(ponder_session_generate(session.get(), nullptr, nullptr, &err) == PONDER_OK);  // at the end already
}

TEST_CASE("on_token stops a reply, and a later call goes on with the next token") {
  const Tiny tiny;
  const Session session = tiny.session();
  prompt(session.get());
  struct Host {
    std::vector<std::int32_t> ids;
    std::size_t stop_at;
    static std::int32_t PONDER_CALL on_token(void* user, const ponder_token_event* event) {
      auto& host = *static_cast<Host*>(user);
      host.ids.push_back(event->id);
      return host.ids.size() == host.stop_at ? -7 : 0;
    }
  } host{{}, 3};
  ponder_error err;
  check_error(ponder_session_generate(session.get(), Host::on_token, &host, &err), err, PONDER_E_CANCELLED, {"on_token"});
  CHECK(host.ids.size() == 3);
  CHECK(ponder_session_finish_reason(session.get()) == PONDER_FINISH_NONE);
  CHECK(ponder_session_generate(session.get(), Host::on_token, &host, &err) == PONDER_OK);
  CHECK(host.ids.size() == 50);
}

TEST_CASE("progress sees the prefill chunk by chunk and can stop it; the next prompt reuses what was computed") {
  const Tiny tiny;
  ponder_session_params params = ponder_session_params_default();
  params.prefill_chunk = 8;
  const Session session = tiny.session(params);
  struct Host {
    std::vector<std::size_t> done;
    std::size_t stop_at = SIZE_MAX;
    static std::int32_t PONDER_CALL progress(void* user, std::size_t n_done, std::size_t n_total) {
      auto& host = *static_cast<Host*>(user);
      CHECK(n_total == 20);
      host.done.push_back(n_done);
      return n_done >= host.stop_at;
    }
  } host;
  ponder_error err;
  const std::vector<std::int32_t> ids = question_ids();
  host.stop_at = 8;
  check_error(ponder_session_prompt_ids(session.get(), ids.data(), ids.size(), Host::progress, &host, &err), err, PONDER_E_CANCELLED, {"progress"});
  CHECK(host.done == std::vector<std::size_t>{8});
  CHECK(ponder_session_finish_reason(session.get()) == PONDER_FINISH_CANCELLED);
  host = {};
  REQUIRE(ponder_session_prompt_ids(session.get(), ids.data(), ids.size(), Host::progress, &host, &err) == PONDER_OK);
  CHECK(host.done == std::vector<std::size_t>{16, 20});
  ponder_session_stats stats{};
  stats.struct_size = sizeof stats;
  REQUIRE(ponder_session_get_stats(session.get(), &stats, &err) == PONDER_OK);
  CHECK(stats.prompt_tokens == 20);
  CHECK(stats.reused_tokens == 8);
  CHECK(generate(session.get()).answer == "\\boxed{432}");
}

TEST_CASE("the host's sampler sees logits, may choose, may change them and may stop") {
  const Tiny tiny;
  const Session session = tiny.session();
  struct Host {
    int mode = 0;
    static std::int32_t PONDER_CALL sample(void* user, float* logits, std::size_t vocab_size, std::int32_t* out_id) {
      CHECK(vocab_size == 264);
      CHECK(*out_id == -1);
      const int mode = static_cast<Host*>(user)->mode;
      if (mode == 0) *out_id = 'x';
      if (mode == 1) logits[int{'y'}] = 1e9f;
      if (mode == 3) *out_id = 264;
      return mode == 2;
    }
  } host;
  ponder_generate_params p = ponder_generate_params_default();
  p.sampler = Host::sample;
  p.sampler_user_data = &host;
  set_params(session.get(), p);
  prompt(session.get());
  ponder_token_event event = new_event();
  ponder_error err;
  REQUIRE(ponder_session_next(session.get(), &event, &err) == PONDER_OK);
  CHECK(event.id == 'x');
  host.mode = 1;
  REQUIRE(ponder_session_next(session.get(), &event, &err) == PONDER_OK);
  CHECK(event.id == 'y');
  host.mode = 2;
  check_error(ponder_session_next(session.get(), &event, &err), err, PONDER_E_CANCELLED);
  host.mode = 3;
  prompt(session.get());
  check_error(ponder_session_next(session.get(), &event, &err), err, PONDER_E_INVALID_ARGUMENT, {"264"});
}

TEST_CASE("every event carries the likeliest alternatives that were asked for") {
  const Tiny tiny;
  const Session session = tiny.session();
  ponder_generate_params p = ponder_generate_params_default();
  p.n_top_logprobs = 4;
  set_params(session.get(), p);
  prompt(session.get());
  ponder_logprob before[4];
  ponder_error err;
  REQUIRE(ponder_session_top_logprobs(session.get(), before, 4, &err) == PONDER_OK);
  ponder_token_event event = new_event();
  REQUIRE(ponder_session_next(session.get(), &event, &err) == PONDER_OK);
  REQUIRE(event.n_top_logprobs == 4);
  CHECK(event.top_logprobs[0].id == event.id);
  CHECK(event.top_logprobs[0].logprob == event.logprob);
  for (int i = 0; i < 4; ++i) {
    CHECK(event.top_logprobs[i].id == before[i].id);
    if (i > 0) CHECK(event.top_logprobs[i].logprob <= event.top_logprobs[i - 1].logprob);
  }
}

TEST_CASE("time slices give the same reply, with a deferred prefill too") {
  const Tiny tiny;
  ponder_session_params params = ponder_session_params_default();
  params.flags = PONDER_SESSION_DEFER_PREFILL;
  params.prefill_chunk = 4;
  const Session session = tiny.session(params);
  prompt(session.get());
  std::string answer;
  int n_pending = 0;
  ponder_token_event event = new_event();
  ponder_error err;
  for (;;) {
    const ponder_status status = ponder_session_step(session.get(), 0, &event, &err);
    if (status == PONDER_END) break;
    REQUIRE_MESSAGE(status >= 0, err.message);
    if (status == PONDER_PENDING)
      ++n_pending;
    else if (event.channel == PONDER_CHANNEL_ANSWER)
      answer.append(event.text, event.text_len);
  }
  CHECK(answer == "\\boxed{432}");
  CHECK(n_pending >= 5 * 3);  // the prefill alone: 5 chunks of 3 layers
  check_error(ponder_session_step(session.get(), -1, &event, &err), err, PONDER_E_INVALID_ARGUMENT, {"budget_us", "-1"});
  CHECK(ponder_session_step(session.get(), INT64_MAX, &event, &err) == PONDER_END);
}

TEST_CASE("a batch gives every session what it would have got alone") {
  const Tiny tiny;
  const Session a = tiny.session(), b = tiny.session(), c = tiny.session();
  prompt(a.get());
  prompt(b.get(), question_ids("What is 52-17?"));
  ponder_session* const sessions[] = {a.get(), b.get(), c.get()};  // c has no prompt
  // Events of a newer header: longer than ours, and that is the distance between two of them.
  struct NewerEvent {
    ponder_token_event event;
    std::uint64_t tail;
  } events[3] = {};
  for (NewerEvent& e : events) e.event.struct_size = sizeof e, e.tail = ~std::uint64_t{0};
  ponder_status statuses[3] = {};
  std::string answers[3];
  ponder_error err;
  for (int step = 0; step < 60; ++step) {
    REQUIRE(ponder_session_next_batch(sessions, 3, &events[0].event, statuses, &err) == PONDER_OK);
    CHECK(err.code == PONDER_E_STATE);
    CHECK(std::string_view(err.message).find("sessions[2]") == 0);
    CHECK(statuses[2] == PONDER_E_STATE);
    for (int i = 0; i < 2; ++i)
      if (statuses[i] == PONDER_OK && events[i].event.channel == PONDER_CHANNEL_ANSWER)
        answers[i].append(events[i].event.text, events[i].event.text_len);
  }
  CHECK(statuses[0] == PONDER_END);
  CHECK(statuses[1] == PONDER_END);
  CHECK(answers[0] == "\\boxed{432}");
  CHECK(answers[1] == "\\boxed{35}");
  CHECK(events[0].tail == 0);
  CHECK(events[2].tail == ~std::uint64_t{0});  // never filled
}

TEST_CASE("a batch refuses NULL, one session twice, another model's session and events of different sizes") {
  const Tiny tiny, other;
  const Session a = tiny.session(), b = tiny.session(), foreign = other.session();
  ponder_token_event events[2] = {new_event(), new_event()};
  ponder_status statuses[2];
  ponder_error err;
  const auto batch = [&](ponder_session* first, ponder_session* second) {
    ponder_session* const sessions[] = {first, second};
    return ponder_session_next_batch(sessions, 2, events, statuses, &err);
  };
  check_error(batch(a.get(), nullptr), err, PONDER_E_INVALID_ARGUMENT, {"sessions[1]"});
  check_error(batch(a.get(), a.get()), err, PONDER_E_INVALID_ARGUMENT, {"sessions[0]", "sessions[1]"});
  check_error(batch(a.get(), foreign.get()), err, PONDER_E_INVALID_ARGUMENT, {"sessions[1]", "model"});
  events[1].struct_size = 48;
  check_error(batch(a.get(), b.get()), err, PONDER_E_INVALID_ARGUMENT, {"events[1].struct_size", "48"});
  events[0].struct_size = 0;
  check_error(batch(a.get(), b.get()), err, PONDER_E_INVALID_ARGUMENT, {"struct_size"});
  CHECK(ponder_session_next_batch(nullptr, 0, nullptr, nullptr, &err) == PONDER_E_INVALID_ARGUMENT);
  prompt(a.get());  // no session is left marked as in use
  prompt(b.get());
}

TEST_CASE("cancel from a callback stops the call, and stays until the next prompt") {
  const Tiny tiny;
  const Session session = tiny.session();
  prompt(session.get());
  ponder_error err;
  const ponder_status status = ponder_session_generate(
      session.get(),
      [](void* user, const ponder_token_event*) -> std::int32_t {
        ponder_session_cancel(static_cast<ponder_session*>(user));
        return 0;
      },
      session.get(), &err);
  check_error(status, err, PONDER_E_CANCELLED);
  CHECK(ponder_session_finish_reason(session.get()) == PONDER_FINISH_CANCELLED);
  ponder_token_event event = new_event();
  check_error(ponder_session_next(session.get(), &event, &err), err, PONDER_E_CANCELLED);
  prompt(session.get());
  CHECK(generate(session.get()).answer == "\\boxed{432}");
}

TEST_CASE("cancel from another thread ends an endless reply") {
  const Tiny tiny;
  const Session session = tiny.session();
  ponder_generate_params p = ponder_generate_params_default();
  p.flags = PONDER_GENERATE_IGNORE_EOS | PONDER_GENERATE_CONTEXT_SHIFT;
  set_params(session.get(), p);
  prompt(session.get());
  std::atomic<int> n_tokens{0};
  std::thread other([&] {
    while (n_tokens.load() < 3) std::this_thread::yield();
    ponder_session_cancel(session.get());
  });
  ponder_error err;
  const ponder_status status = ponder_session_generate(
      session.get(), [](void* user, const ponder_token_event*) { ++*static_cast<std::atomic<int>*>(user); return std::int32_t{0}; },
      &n_tokens, &err);
  other.join();
  check_error(status, err, PONDER_E_CANCELLED);
}

TEST_CASE("a call on a session from within its callback is refused and does no harm") {
  const Tiny tiny;
  const Session session = tiny.session();
  prompt(session.get());
  struct Host {
    ponder_session* session;
    ponder_status status[4] = {};
    ponder_error err;
  } host{session.get(), {}, {}};
  ponder_error err;
  REQUIRE(ponder_session_generate(
              session.get(),
              [](void* user, const ponder_token_event*) -> std::int32_t {
                auto& h = *static_cast<Host*>(user);
                ponder_token_event event = new_event();
                ponder_session* fork = nullptr;
                h.status[0] = ponder_session_next(h.session, &event, &h.err);
                h.status[1] = ponder_session_rewind(h.session, 0, nullptr);
                h.status[2] = ponder_session_fork(h.session, &fork, nullptr);
                h.status[3] = ponder_session_set_params(h.session, nullptr, nullptr);
                return 0;
              },
              &host, &err) == PONDER_OK);
  for (ponder_status status : host.status) CHECK(status == PONDER_E_STATE);
  CHECK(std::string_view(host.err.message).find("in use") != std::string_view::npos);
  std::vector<std::int32_t> ids(128);
  std::size_t count = 0;
  REQUIRE(ponder_session_tokens(session.get(), ids.data(), ids.size(), &count, &err) == PONDER_OK);
  CHECK(count == 70);
}

TEST_CASE("sampling: the same seed gives the same tokens for any number of threads, another seed others") {
  const Tiny tiny;
  ponder_generate_params p = ponder_generate_params_default();
  p.temperature = 3;
  p.max_new_tokens = 60;
  p.seed = 7;
  std::vector<std::vector<std::int32_t>> replies;
  for (std::int32_t n_threads : {1, 2, 0}) {
    ponder_session_params sp = ponder_session_params_default();
    sp.n_threads = n_threads;
    const Session session = tiny.session(sp);
    set_params(session.get(), p);
    prompt(session.get());
    replies.push_back(generate(session.get()).ids);
  }
  CHECK(replies[0] == replies[1]);
  CHECK(replies[0] == replies[2]);
  const Session session = tiny.session();
  p.seed = 8;
  set_params(session.get(), p);
  prompt(session.get());
  CHECK(generate(session.get()).ids != replies[0]);
}

TEST_CASE("sessions of one model run in parallel threads") {
  const Tiny tiny;
  std::string answers[3];
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&, i] {
      ponder_session* handle = nullptr;
      if (ponder_session_create(tiny.runtime.get(), tiny.model.get(), nullptr, &handle, nullptr) != PONDER_OK) return;
      const Session session(handle);
      const std::vector<std::int32_t> ids = question_ids(i == 1 ? "What is 52-17?" : "What is 347+85?");
      if (ponder_session_prompt_ids(handle, ids.data(), ids.size(), nullptr, nullptr, nullptr) != PONDER_OK) return;
      ponder_token_event event = new_event();
      while (ponder_session_next(handle, &event, nullptr) == PONDER_OK)
        if (event.channel == PONDER_CHANNEL_ANSWER) answers[i].append(event.text, event.text_len);
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(answers[0] == "\\boxed{432}");
  CHECK(answers[1] == "\\boxed{35}");
  CHECK(answers[2] == "\\boxed{432}");
}
