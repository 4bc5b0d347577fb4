// Out of memory at every single allocation: a status or std::bad_alloc (which the C ABI turns into one), no leak (run
// under AddressSanitizer), and objects that work on.
#include "tests/new_hook.h"
#include "tests/lib/session/session_fixture.h"

namespace {

std::atomic<bool> armed{false};
std::atomic<std::int64_t> n_seen{0}, fail_at{0};
std::atomic<bool> stays_full{false};  // all later ones fail too

}  // namespace

bool ponder::core::before_allocation() {
  if (!armed.load(std::memory_order_relaxed)) return true;
  const std::int64_t n = n_seen.fetch_add(1) + 1, k = fail_at.load();
  return stays_full.load() ? n < k : n != k;
}

using namespace ponder::core;

namespace {

constexpr const char* kQuestion = "What is 347+85?";

// Allocates nothing itself: a Status moves.
template <class Action>
Status without_memory(std::int64_t k, Action&& action) {
  n_seen = 0;
  fail_at = k;
  Status status;
  bool thrown = false;
  armed = true;
  try {
    status = action();
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  armed = false;
  return thrown ? Status(Code::out_of_memory, "bad_alloc") : std::move(status);
}

// `attempt(run)` makes what it needs and calls run(action), where action's k-th allocation fails: for k = 1, 1 + stride,
// ... until it needs fewer. Returns how many it needs.
template <class Attempt>
std::int64_t at_every_allocation(std::int64_t stride, Attempt&& attempt) {
  std::int64_t n_needed = 0;
  for (bool stays : {false, true}) {
    stays_full = stays;
    for (std::int64_t k = 1;; k += stride) {
      CAPTURE(stays);
      CAPTURE(k);
      bool failed = true;
      attempt([&](auto&& action) {
        const Status status = without_memory(k, action);
        failed = n_seen.load() >= k;
        n_needed = n_seen.load();
        // A library may have a way without the memory (std::stable_sort): then all must be well.
        CHECK((status.ok() || status.code() == Code::out_of_memory));
        if (!failed) CHECK(status.ok());
        return status.ok();
      });
      if (!failed) break;
    }
  }
  return n_needed;
}

// An operation on a session in the middle of its reply: whether it fails or not, the session then answers as ever.
template <class Operation>
void check_operation(Operation&& operation, std::int64_t stride = 1) {
  auto session = test_session({.context_length = 128});
  GenerateParams params;
  params.stop = {"none"};
  const std::int64_t n = at_every_allocation(stride, [&](auto&& run) {
    REQUIRE(session->set_generate_params(params).ok());
    ask(*session, kQuestion);
    read_reply(*session, 4);
    run([&] { return operation(*session); });
    REQUIRE(session->set_generate_params(params).ok());
    ask(*session, kQuestion);
    CHECK(read_reply(*session).answer == "\\boxed{432}");
  });
  MESSAGE("allocations: " << n);
  CHECK(n > 0);
}

void check_load(const std::string& folder, std::int64_t stride) {
  const std::int64_t n = at_every_allocation(stride, [&](auto&& run) {
    std::shared_ptr<const Model> model;
    const bool ok = run([&]() -> Status {
      PONDER_ASSIGN(model, Model::load(folder_source(folder), {}));
      return {};
    });
    CHECK(ok == (model != nullptr));
  });
  MESSAGE(folder.substr(folder.rfind('/') + 1) << ": allocations: " << n);
}

}  // namespace

TEST_CASE("out of memory: loading a model") {
  check_load(std::string(PONDER_TEST_DATA) + "/models/v2lite-tiny", 1);
  check_load(std::string(PONDER_TEST_DATA) + "/models/v3-fp8-tiny", 1);
  check_load(std::string(PONDER_MODELS) + "/ponder-tiny-r1", 1);
}

TEST_CASE("out of memory: the threads and a session") {
  const std::int64_t n_pool = at_every_allocation(1, [&](auto&& run) {
    run([&]() -> Status {
      PONDER_ASSIGN(const auto pool, ThreadPool::create(3));
      return {};
    });
  });
  const auto runtime = test_runtime();
  const auto model = tiny_r1();
  const std::vector<TokenId> prompt = chat_ids(kQuestion);
  const std::int64_t n_session = at_every_allocation(1, [&](auto&& run) {
    std::unique_ptr<Session> session;
    if (run([&]() -> Status {
          PONDER_ASSIGN(session, Session::create(runtime, model, {.context_length = 200}));
          return {};
        })) {
      REQUIRE(session->prompt_ids(prompt).ok());
      CHECK(read_reply(*session).answer == "\\boxed{432}");
    }
  });
  MESSAGE("allocations: " << n_pool << " of a pool, " << n_session << " of a session");
}

TEST_CASE("out of memory: a prompt and a few tokens") {
  check_operation([](Session& session) -> Status {
    PONDER_TRY(session.prompt_text("<｜User｜>2+2<｜Assistant｜>", true));
    TokenEvent event;
    for (int i = 0; i < 3; ++i) PONDER_TRY(session.next(event));
    return {};
  });
}

TEST_CASE("out of memory: save and restore, in memory and in a file") {
  const std::filesystem::path path = std::filesystem::temp_directory_path() / "ponder-out-of-memory.session";
  check_operation([](Session& session) -> Status {
    PONDER_ASSIGN(const std::string saved, session.save());
    return session.restore(saved);
  });
  check_operation([&](Session& session) -> Status {
    PONDER_TRY(session.save_file(path));
    return session.restore_file(path);
  });
  std::filesystem::remove(path);
}

TEST_CASE("out of memory: a restore that fails leaves the session as it was") {
  auto session = test_session({.context_length = 128}), other = test_session({.context_length = 128});
  ask(*other, "52-17");
  read_reply(*other, 3);
  const std::string saved = other->save().value();
  at_every_allocation(1, [&](auto&& run) {
    ask(*session, kQuestion);
    read_reply(*session, 4);
    const std::vector<TokenId> before(session->tokens().begin(), session->tokens().end());
    if (!run([&] { return session->restore(saved); })) {
      CHECK(std::equal(before.begin(), before.end(), session->tokens().begin(), session->tokens().end()));
      CHECK(read_reply(*session).answer == "\\boxed{432}");
    }
  });
}

TEST_CASE("out of memory: other parameters") {
  GenerateParams params;
  params.sampling.temperature = 1;
  params.sampling.dry_multiplier = 1;
  params.sampling.logit_bias = {{1, 1.0f}, {2, 2.0f}};
  params.stop = {"a stop string that is too long for the string itself", "b"};
  params.stop_ids = {1, 2, 3};
  params.n_top_logprobs = 20;
  std::unique_ptr<Session> session;
  at_every_allocation(1, [&](auto&& run) {
    session = test_session({.context_length = 128});
    ask(*session, kQuestion);
    if (!run([&] { return session->set_generate_params(params); })) {
      CHECK(session->generate_params().stop.empty());
      CHECK(session->generate_params().sampling.temperature == 0);
      CHECK(read_reply(*session).answer == "\\boxed{432}");
    }
  });
}

TEST_CASE("out of memory: fork, rewind, logits, logprobs and a look inside") {
  check_operation([](Session& session) -> Status {
    PONDER_ASSIGN(const std::unique_ptr<Session> fork, session.fork());
    TokenEvent event;
    return fork->next(event);
  });
  check_operation([](Session& session) -> Status {
    PONDER_TRY(session.rewind(10));
    PONDER_TRY(session.logits().status());
    return session.prompt_logprobs().status();
  });
  struct Sink final : TensorSink {
    bool on_f32(const std::string&, std::span<const float>, std::span<const std::int64_t>) override { return true; }
    bool on_i32(const std::string&, std::span<const std::int32_t>, std::span<const std::int64_t>) override {
      return true;
    }
  };
  check_operation([](Session& session) -> Status {
    Sink sink;
    const std::vector<TokenId> ids{1, 2, 3};
    return session.evaluate(ids, {}, {.hidden = true, .moe = true}, sink);
  });
}
