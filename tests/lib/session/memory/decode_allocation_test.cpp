// Decode allocates nothing: every allocation of the program is counted, on every thread.
#include "tests/new_hook.h"
#include "tests/lib/session/session_fixture.h"

namespace {
std::atomic<std::int64_t> n_allocations{0};
}

bool ponder::core::before_allocation() {
  n_allocations.fetch_add(1, std::memory_order_relaxed);
  return true;
}

#if defined(__GLIBC__) && !defined(PONDER_SANITIZED)
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void* malloc(std::size_t n) noexcept { return ++n_allocations, __libc_malloc(n); }
void* calloc(std::size_t n, std::size_t size) noexcept { return ++n_allocations, __libc_calloc(n, size); }
void* realloc(void* p, std::size_t n) noexcept { return ++n_allocations, __libc_realloc(p, n); }
void* aligned_alloc(std::size_t a, std::size_t n) noexcept { return ++n_allocations, __libc_memalign(a, n); }
}
#endif

using namespace ponder::core;

namespace {

constexpr const char* kQuestion = "What is 347+85?";

GenerateParams full_chain() {
  GenerateParams params;
  SamplingParams& s = params.sampling;
  s.temperature = 3;
  s.top_k = 100;
  s.top_p = 0.99f;
  s.min_p = 0.001f;
  s.typical_p = 0.99f;
  s.top_n_sigma = 5;
  s.xtc_probability = 0.3f;
  s.repetition_penalty = 1.1f;
  s.presence_penalty = 0.1f;
  s.frequency_penalty = 0.1f;
  s.penalty_last_n = -1;
  s.dry_multiplier = 0.8f;
  s.logit_bias = {{50, 1.0f}, {60, -1.0f}};
  s.user_sampler.fn = [](void*, float*, std::size_t, TokenId*) { return 0; };
  params.stop = {"never met", "\n\n\n\n\n\n"};
  params.stop_ids = {262};
  params.ignore_eos = true;
  params.max_new_tokens = 80;
  params.n_top_logprobs = 5;
  return params;
}

std::unique_ptr<Session> prompted(const GenerateParams& params, const SessionParams& session_params = {}) {
  auto session = test_session(session_params);
  REQUIRE(session->set_generate_params(params).ok());
  ask(*session, kQuestion);
  return session;
}

// Allocations of next() from here to the end of the reply, and how many tokens that were.
struct Count {
  std::int64_t n_tokens = 0, n_allocations = 0;
};
Count count_rest(Session& session, std::int64_t limit = 1000) {
  Count count;
  TokenEvent event;
  const std::int64_t before = n_allocations.load();
  while (count.n_tokens < limit && session.next(event).ok()) ++count.n_tokens;
  count.n_allocations = n_allocations.load() - before;
  return count;
}

void check_rest(Session& session, std::int64_t at_least, std::int64_t limit = 1000) {
  const Count count = count_rest(session, limit);
  CHECK(count.n_tokens >= at_least);
  CHECK(count.n_allocations == 0);
}

}  // namespace

TEST_CASE("decode allocation: the counter counts") {
  const std::int64_t before = n_allocations.load();
  const auto memory = std::make_unique<std::vector<int>>(100);
  CHECK(n_allocations.load() > before);
#if defined(__GLIBC__) && !defined(PONDER_SANITIZED)
  const std::int64_t before_malloc = n_allocations.load();
  void* volatile block = std::malloc(8);
  CHECK(n_allocations.load() == before_malloc + 1);
  std::free(block);
#endif
}

TEST_CASE("decode allocation: none, greedy") {
  for (Compute compute : {Compute::exact, Compute::fast}) {
    auto session = prompted({}, {.compute = compute});
    read_reply(*session, 2);
    check_rest(*session, 40);
  }
}

TEST_CASE("decode allocation: none with a small cache type") {
  for (Compute compute : {Compute::exact, Compute::fast})
    for (DType type : {DType::q8_0, DType::f8_e4m3}) {
      auto session = prompted({}, {.compute = compute, .kv_type = type});
      read_reply(*session, 2);
      check_rest(*session, 10);
    }
}

TEST_CASE("decode allocation: none with every sampler, stop strings and top logprobs") {
  auto session = prompted(full_chain());
  read_reply(*session, 2);
  check_rest(*session, 70);
}

TEST_CASE("decode allocation: none with mirostat") {
  GenerateParams params = full_chain();
  params.sampling.mirostat = 2;
  auto session = prompted(params);
  read_reply(*session, 2);
  check_rest(*session, 70);
}

TEST_CASE("decode allocation: none from the first token on") {
  auto session = prompted(full_chain());
  check_rest(*session, 80);
}

TEST_CASE("decode allocation: none when a budget forces the end of thinking") {
  GenerateParams params = full_chain();
  params.think_budget = 9;
  auto session = prompted(params);
  read_reply(*session, 2);
  check_rest(*session, 70);
  CHECK(session->stats().forced_tokens >= 3);
}

TEST_CASE("decode allocation: none across a context shift") {
  GenerateParams params = full_chain();
  params.context_shift = true;
  auto session = prompted(params, {.context_length = 40});
  read_reply(*session, 2);
  check_rest(*session, 70);
}

TEST_CASE("decode allocation: none in a fork and in its origin, nor after a rewind") {
  auto session = prompted(full_chain());
  read_reply(*session, 10);
  auto fork = std::move(session->fork()).value();
  auto second = std::move(session->fork()).value();
  check_rest(*fork, 60);
  check_rest(*session, 60);
  const std::int64_t before = n_allocations.load();
  const Status status = fork->rewind(5);
  const std::int64_t after = n_allocations.load();
  CHECK(status.ok());
  CHECK(after == before);
  check_rest(*fork, 70);
  check_rest(*second, 60);
}

TEST_CASE("decode allocation: none after a restore") {
  auto session = prompted(full_chain());
  read_reply(*session, 10);
  auto other = test_session();
  REQUIRE(other->restore(session->save().value()).ok());
  check_rest(*other, 60);
}

TEST_CASE("decode allocation: none in slices") {
  auto session = prompted(full_chain());
  read_reply(*session, 2);
  TokenEvent event;
  std::int64_t n_tokens = 0;
  const std::int64_t before = n_allocations.load();
  for (;;) {
    const Status status = session->step(0, event);
    if (status.ok()) ++n_tokens;
    if (!status.ok() && status.code() != Code::pending) break;
  }
  const std::int64_t after = n_allocations.load();
  CHECK(n_tokens > 70);
  CHECK(after == before);
}

TEST_CASE("decode allocation: none in a batch") {
  std::vector<std::unique_ptr<Session>> sessions;
  std::vector<Session*> handles;
  for (int i = 0; i < 4; ++i) {
    sessions.push_back(prompted(full_chain()));
    handles.push_back(sessions.back().get());
  }
  std::vector<TokenEvent> events(4);
  std::vector<Status> statuses(4);
  const std::int64_t before = n_allocations.load();
  bool all_ok = true;
  for (int i = 0; i < 60; ++i) {
    all_ok = all_ok && Session::next_batch(handles, events, statuses).ok();
    for (const Status& status : statuses) all_ok = all_ok && status.ok();
  }
  const std::int64_t after = n_allocations.load();
  CHECK(all_ok);
  CHECK(after == before);
}

TEST_CASE("decode allocation: none with grouped-query attention, experts of FP8 and no tokenizer") {
  for (const char* name : {"qwen2-tiny", "llama3-tiny", "v2-tiny", "v3-fp8-tiny"}) {
    CAPTURE(name);
    auto loaded = Model::load(folder_source(std::string(PONDER_TEST_DATA) + "/models/" + name), {});
    REQUIRE(loaded.ok());
    auto session = std::move(Session::create(test_runtime(), *loaded, {})).value();
    GenerateParams params = full_chain();
    params.stop.clear();
    params.sampling.logit_bias.clear();
    params.stop_ids.clear();
    REQUIRE(session->set_generate_params(params).ok());
    REQUIRE(session->prompt_ids(std::vector<TokenId>{1, 2, 3}).ok());
    read_reply(*session, 2);
    check_rest(*session, 20);
  }
}
