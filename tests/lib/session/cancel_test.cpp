// Cancellation, slices and threads. Nothing here waits for a time: threads wait for each other.
#include <algorithm>
#include <atomic>
#include <thread>

#include "tests/lib/session/session_fixture.h"

using namespace ponder::core;

namespace {

constexpr const char* kQuestion = "What is 347+85?";

// A reply without an end.
GenerateParams endless() {
  GenerateParams params;
  params.ignore_eos = true;
  params.context_shift = true;
  return params;
}

// Lets another thread cancel after the first layer of a pass, and waits until it has.
class CancelAfterFirstLayer final : public ForwardTap {
 public:
  explicit CancelAfterFirstLayer(std::atomic<bool>& cancel) : other_([&] {
      reached_.wait(false);
      cancel = true;
      done_ = true;
      done_.notify_one();
    }) {}
  ~CancelAfterFirstLayer() override { other_.join(); }
  void on_f32(std::string_view name, const Tensor&) override {
    names.emplace_back(name);
    if (name != "hidden.1") return;  // hidden.0 is the embedding
    reached_ = true;
    reached_.notify_one();
    done_.wait(false);
  }
  void on_i32(std::string_view, const std::int32_t*, std::size_t, std::size_t) override {}
  std::vector<std::string> names;

 private:
  std::atomic<bool> reached_{false}, done_{false};
  std::thread other_;
};

}  // namespace

TEST_CASE("cancel: a pass ends with the layer in which the flag was set, and commits nothing") {
  const auto runtime = test_runtime();
  const auto model = tiny_r1();
  std::atomic<bool> cancel{false};
  const Context ctx{&runtime->kernels, runtime->pool.get(), 0, Compute::exact, &cancel};
  Forward forward = Forward::create(*model, ctx, {}).value();
  const auto row = static_cast<std::size_t>(model->config().kv_row_elements());
  KvCache kv = KvCache::create({3, row, DType::f32}, 64).value();
  const std::vector<TokenId> ids(30, 48);
  const SequenceRows sequence{&kv, 0, ids.size()};
  {
    CancelAfterFirstLayer tap(cancel);
    CHECK(forward.run({ids, {&sequence, 1}, {}, &tap}).code() == Code::cancelled);
    CHECK(tap.names == std::vector<std::string>{"hidden.0", "hidden.1"});
  }
  CHECK(kv.n_tokens() == 0);
  cancel = false;
  CHECK(forward.run({ids, {&sequence, 1}, {}, nullptr}).ok());
  CHECK(kv.n_tokens() == 30);
}

TEST_CASE("cancel: from another thread the running reply ends, and a new prompt goes on") {
  auto session = test_session({.context_length = 128});
  REQUIRE(session->set_generate_params(endless()).ok());
  ask(*session, kQuestion);
  std::atomic<int> n_tokens{0};
  std::thread other([&] {
    for (int n = 0; n < 3; n = n_tokens.load()) n_tokens.wait(n);
    session->cancel();
  });
  TokenEvent event;
  Status status;
  while ((status = session->next(event)).ok()) {  // ends by the other thread only
    n_tokens.fetch_add(1);
    n_tokens.notify_one();
  }
  other.join();
  CHECK(status.code() == Code::cancelled);
  CHECK(session->finish_reason() == FinishReason::cancelled);
  CHECK(session->next(event).code() == Code::cancelled);  // until something is asked
  CHECK(event.id == -1);
  REQUIRE(session->set_generate_params({}).ok());
  ask(*session, kQuestion);
  CHECK(read_reply(*session).answer == "\\boxed{432}");
}

TEST_CASE("cancel: from another thread within a prefill, whose chunks so far stay") {
  auto session = test_session({.prefill_chunk = 4});
  std::atomic<int> state{0};
  std::thread other([&] {
    state.wait(0);
    session->cancel();
    state = 2;
    state.notify_one();
  });
  std::size_t n_calls = 0;
  const std::vector<TokenId> ids(50, 48);
  const Status status = session->prompt_ids(ids, [&](std::size_t done, std::size_t all) {
    CHECK(all == 50);
    CHECK(done == 4 * ++n_calls);
    if (n_calls == 2) {
      state = 1;
      state.notify_one();
      state.wait(1);
    }
    return true;
  });
  other.join();
  CHECK(status.code() == Code::cancelled);
  CHECK(n_calls == 2);
  CHECK(session->tokens().size() == 8);
  TokenEvent event;
  CHECK(session->next(event).code() == Code::cancelled);
  REQUIRE(session->prompt_ids(ids).ok());
  CHECK(session->stats().reused_tokens == 8);
}

TEST_CASE("cancel: is seen before the next layer") {
  auto whole = test_session();
  ask(*whole, kQuestion);
  const std::vector<TokenId> want = read_reply(*whole).ids;
  for (int n_layers = 0; n_layers < 3; ++n_layers) {  // of three
    auto session = test_session();
    ask(*session, kQuestion);
    TokenEvent event;
    REQUIRE(session->next(event).ok());
    for (int i = 0; i < n_layers; ++i) REQUIRE(session->step(0, event).code() == Code::pending);
    session->cancel();
    CHECK(session->step(0, event).code() == Code::cancelled);
    CHECK(session->tokens().size() == 21);
    REQUIRE(session->rewind(21).ok());  // goes on
    CHECK(read_reply(*session).ids == std::vector<TokenId>(want.begin() + 1, want.end()));
  }
}

TEST_CASE("cancel: before the first call it is forgotten") {
  auto session = test_session();
  session->cancel();
  TokenEvent event;
  CHECK(session->next(event).code() == Code::state);
  ask(*session, kQuestion);
  CHECK(read_reply(*session).answer == "\\boxed{432}");
}

TEST_CASE("cancel: a cancelled session can be forked, saved, rewound and goes on") {
  auto session = test_session();
  ask(*session, kQuestion);
  read_reply(*session, 9);
  session->cancel();
  TokenEvent event;
  REQUIRE(session->next(event).code() == Code::cancelled);
  auto fork = std::move(session->fork()).value();
  CHECK(fork->next(event).code() == Code::cancelled);
  REQUIRE(fork->rewind(fork->tokens().size()).ok());
  CHECK(read_reply(*fork).answer == "\\boxed{432}");
  auto other = test_session();
  REQUIRE(other->restore(session->save().value()).ok());
  CHECK(other->next(event).code() == Code::cancelled);
  REQUIRE(other->rewind(25).ok());
  CHECK(read_reply(*other).answer == "\\boxed{432}");
}

TEST_CASE("cancel: one session of a batch does not disturb the others") {
  for (std::size_t cancelled : {std::size_t{0}, std::size_t{2}}) {
    std::vector<std::unique_ptr<Session>> sessions;
    std::vector<Session*> handles;
    for (int i = 0; i < 3; ++i) {
      sessions.push_back(test_session());
      ask(*sessions.back(), kQuestion);
      handles.push_back(sessions.back().get());
    }
    std::vector<TokenEvent> events(3);
    std::vector<Status> statuses(3);
    REQUIRE(Session::next_batch(handles, events, statuses).ok());
    sessions[cancelled]->cancel();
    REQUIRE(Session::next_batch(handles, events, statuses).ok());
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(statuses[i].code() == (i == cancelled ? Code::cancelled : Code::ok));
      CHECK(sessions[i]->tokens().size() == (i == cancelled ? 21 : 22));
    }
    for (std::size_t i = 0; i < 3; ++i)
      if (i != cancelled) CHECK(read_reply(*sessions[i]).answer == "\\boxed{432}");
  }
}

TEST_CASE("cancel: progress that says no leaves a prefix of the prompt") {
  auto session = test_session({.prefill_chunk = 4});
  std::vector<TokenId> ids(50, 48);
  const Status status = session->prompt_ids(ids, [](std::size_t done, std::size_t) { return done < 20; });
  CHECK(status.code() == Code::cancelled);
  CHECK(session->tokens().size() == 20);
  TokenEvent event;
  CHECK(session->next(event).code() == Code::cancelled);
  REQUIRE(session->prompt_ids(ids).ok());
  CHECK(session->stats().reused_tokens == 20);
}

TEST_CASE("step: without any time it makes one layer's progress with every call") {
  auto session = test_session({.prefill_chunk = 5, .defer_prefill = true});
  ask(*session, kQuestion);  // 20 tokens: 4 passes of 3 layers
  TokenEvent event;
  std::size_t n_calls = 0;
  for (; session->step(0, event).code() == Code::pending; ++n_calls) REQUIRE(n_calls < 4 * 4);
  CHECK(n_calls >= 4 * 2);
  CHECK(event.id == '7');
  for (std::int64_t budget_us : {std::int64_t{1}, std::int64_t{0}}) {
    for (n_calls = 0; session->step(budget_us, event).code() == Code::pending; ++n_calls) REQUIRE(n_calls < 4);
    CHECK(event.id >= 0);
  }
  for (std::int64_t budget_us : {std::int64_t{-1}, std::numeric_limits<std::int64_t>::min(),
                                 std::numeric_limits<std::int64_t>::max()})
    CHECK(session->step(budget_us, event).ok());  // no limit
}

TEST_CASE("threads: sessions of one model and runtime in parallel") {
  auto runtime = test_runtime(2);
  const std::vector<TokenId> prompt = chat_ids(kQuestion);
  std::vector<Reply> replies(4);
  std::vector<std::thread> threads;
  for (Reply& reply : replies)
    threads.emplace_back([&] {
      auto session = std::move(Session::create(runtime, tiny_r1(), {})).value();
      if (session->prompt_ids(prompt).ok()) reply = read_reply(*session);
    });
  for (std::thread& thread : threads) thread.join();
  for (const Reply& reply : replies) CHECK(reply.answer == "\\boxed{432}");
}

TEST_CASE("threads: forks of one session in parallel with it, all writing behind the shared prefix") {
  auto session = test_session();
  ask(*session, kQuestion);
  read_reply(*session, 5);
  std::vector<std::unique_ptr<Session>> forks;
  for (int i = 0; i < 3; ++i) forks.push_back(std::move(session->fork()).value());
  std::vector<Reply> replies(4);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 3; ++i)
    threads.emplace_back([&, i] {
      if (i == 1 && !forks[i]->rewind(10).ok()) return;
      if (i == 1 && !forks[i]->append_ids(chat_ids(kQuestion)).ok()) return;
      replies[i] = read_reply(*forks[i]);
    });
  replies[3] = read_reply(*session);
  for (std::thread& thread : threads) thread.join();
  CHECK(replies[0].answer == "\\boxed{432}");
  CHECK(!replies[1].ids.empty());
  CHECK(replies[2].ids == replies[0].ids);
  CHECK(replies[3].ids == replies[0].ids);
}
