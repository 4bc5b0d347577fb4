// Sessions: fork, rewind, save and restore, logits, looking inside; lifetimes; what the host's process keeps.
#include <cfenv>
#include <clocale>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "tests/capi/capi_fixture.h"

using namespace capi_test;

namespace {

std::vector<std::int32_t> tokens_of(const ponder_session* session) {
  std::size_t count = 0;
  ponder_error err;
  REQUIRE(ponder_session_tokens(session, nullptr, 0, &count, &err) == PONDER_OK);
  std::vector<std::int32_t> ids(count);
  REQUIRE(ponder_session_tokens(session, ids.data(), ids.size(), &count, &err) == PONDER_OK);
  return ids;
}

void next(ponder_session* session, int n_tokens) {
  ponder_token_event event{};
  event.struct_size = sizeof event;
  ponder_error err;
  for (int i = 0; i < n_tokens; ++i) REQUIRE(ponder_session_next(session, &event, &err) == PONDER_OK);
}

Session fork_of(const ponder_session* session) {
  ponder_session* fork = nullptr;
  ponder_error err;
  REQUIRE_MESSAGE(ponder_session_fork(session, &fork, &err) == PONDER_OK, err.message);
  return Session(fork);
}

std::string save(const ponder_session* session) {
  ponder_buffer* state = nullptr;
  ponder_error err;
  REQUIRE_MESSAGE(ponder_session_save(session, &state, &err) == PONDER_OK, err.message);
  return text_of(state);
}

}  // namespace

TEST_CASE("n completions of one prompt are forks with seeds of their own") {
  const Tiny tiny;
  const Session parent = tiny.session();
  ponder_generate_params p = ponder_generate_params_default();
  p.temperature = 3;
  p.max_new_tokens = 40;
  set_params(parent.get(), p);
  prompt(parent.get());
  std::vector<Session> forks;
  std::vector<std::vector<std::int32_t>> alone;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    p.seed = seed;
    forks.push_back(fork_of(parent.get()));
    set_params(forks.back().get(), p);
    const Session own = tiny.session();
    set_params(own.get(), p);
    prompt(own.get());
    alone.push_back(generate(own.get()).ids);
  }
  for (std::size_t i = 0; i < 3; ++i) CHECK(generate(forks[i].get()).ids == alone[i]);
  CHECK(alone[0] != alone[1]);
  CHECK(tokens_of(parent.get()) == question_ids());
}

TEST_CASE("a rewound session gives the same reply again") {
  const Tiny tiny;
  const Session session = tiny.session();
  prompt(session.get());
  const Reply first = generate(session.get());
  ponder_error err;
  REQUIRE(ponder_session_rewind(session.get(), 20, &err) == PONDER_OK);
  CHECK(generate(session.get()).ids == first.ids);
  check_error(ponder_session_rewind(session.get(), 71, &err), err, PONDER_E_INVALID_ARGUMENT, {"71", "70"});
}

TEST_CASE("a session saved in the middle of thinking goes on elsewhere, from memory and from a file") {
  const Tiny tiny;
  const Session session = tiny.session();
  prompt(session.get());
  next(session.get(), 9);
  const std::string state = save(session.get());
  const std::string path = "ponder_session_state_c_test.tmp";
  ponder_error err;
  REQUIRE_MESSAGE(ponder_session_save_file(session.get(), path.c_str(), &err) == PONDER_OK, err.message);
  const Reply rest = generate(session.get());

  const Session memory = tiny.session(), file = tiny.session();
  REQUIRE_MESSAGE(ponder_session_restore(memory.get(), state.data(), state.size(), &err) == PONDER_OK, err.message);
  CHECK(ponder_session_next_channel(memory.get()) == PONDER_CHANNEL_THINKING);
  CHECK(generate(memory.get()).ids == rest.ids);
  REQUIRE_MESSAGE(ponder_session_restore_file(file.get(), path.c_str(), &err) == PONDER_OK, err.message);
  CHECK(generate(file.get()).ids == rest.ids);
  std::remove(path.c_str());
}

TEST_CASE("states that do not fit are refused and change nothing") {
  const Tiny tiny;
  const Session session = tiny.session(), other = tiny.session();
  prompt(session.get());
  const std::string state = save(session.get());
  prompt(other.get(), {1, 2, 3});
  ponder_error err;
  for (std::size_t size : {std::size_t{0}, std::size_t{7}, std::size_t{40}, state.size() / 2, state.size() - 1})
    CHECK(ponder_session_restore(other.get(), state.data(), size, &err) == PONDER_E_BAD_FILE);
  std::string damaged = state;
  damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 1);
  check_error(ponder_session_restore(other.get(), damaged.data(), damaged.size(), &err), err, PONDER_E_BAD_FILE, {"checksum"});
  CHECK(tokens_of(other.get()) == std::vector<std::int32_t>{1, 2, 3});

  ponder_session_params params = ponder_session_params_default();
  params.context_length = 10;
  const Session shorter = tiny.session(params);
  check_error(ponder_session_restore(shorter.get(), state.data(), state.size(), &err), err, PONDER_E_CONTEXT_FULL, {"20", "10"});
  params = ponder_session_params_default();
  params.kv_type = PONDER_KV_BF16;
  check_error(ponder_session_restore(tiny.session(params).get(), state.data(), state.size(), &err), err, PONDER_E_INVALID_ARGUMENT,
              {"F16", "BF16"});
  const Model llama = load_model(tiny.runtime.get(), PONDER_TEST_DATA "/models/llama3-tiny");
  ponder_session* handle = nullptr;
  REQUIRE(ponder_session_create(tiny.runtime.get(), llama.get(), nullptr, &handle, &err) == PONDER_OK);
  const Session foreign(handle);
  check_error(ponder_session_restore(handle, state.data(), state.size(), &err), err, PONDER_E_INVALID_ARGUMENT, {"model"});
  check_error(ponder_session_restore_file(other.get(), "/no/such/file", &err), err, PONDER_E_NOT_FOUND, {"/no/such/file"});
  check_error(ponder_session_restore_file(other.get(), (kTiny + "/config.json").c_str(), &err), err, PONDER_E_BAD_FILE, {"config.json"});
  CHECK(ponder_session_save_file(other.get(), "/no/such/folder/file", &err) < 0);
  CHECK(std::string_view(err.message).find("/no/such/folder/file") != std::string_view::npos);
}

TEST_CASE("logits and log-probabilities agree with each other") {
  const Tiny tiny;
  ponder_session_params params = ponder_session_params_default();
  params.compute = PONDER_COMPUTE_EXACT;
  const Session session = tiny.session(params);
  prompt(session.get());
  ponder_error err;
  std::vector<float> logits(300, -1.0f);
  check_error(ponder_session_logits(session.get(), logits.data(), 263, &err), err, PONDER_E_BUFFER_TOO_SMALL, {"263", "264"});
  CHECK(logits[0] == -1.0f);
  REQUIRE(ponder_session_logits(session.get(), logits.data(), logits.size(), &err) == PONDER_OK);
  CHECK(logits[264] == -1.0f);
  double sum = 0;
  for (int i = 0; i < 264; ++i) sum += std::exp(static_cast<double>(logits[static_cast<std::size_t>(i)]));
  std::vector<ponder_logprob> top(264);
  REQUIRE(ponder_session_top_logprobs(session.get(), top.data(), top.size(), &err) == PONDER_OK);
  for (const ponder_logprob& t : top)
    CHECK(t.logprob == doctest::Approx(static_cast<double>(logits[static_cast<std::size_t>(t.id)]) - std::log(sum)).epsilon(1e-4));
  check_error(ponder_session_top_logprobs(session.get(), top.data(), 265, &err), err, PONDER_E_INVALID_ARGUMENT, {"265", "264"});

  const ponder_logprob best = top[0];
  const std::int32_t id = best.id;
  REQUIRE(ponder_session_append_ids(session.get(), &id, 1, nullptr, nullptr, &err) == PONDER_OK);
  std::vector<float> logprobs(21, 9.0f);
  check_error(ponder_session_prompt_logprobs(session.get(), logprobs.data(), 20, &err), err, PONDER_E_BUFFER_TOO_SMALL, {"20", "21"});
  REQUIRE(ponder_session_prompt_logprobs(session.get(), logprobs.data(), logprobs.size(), &err) == PONDER_OK);
  CHECK(logprobs[0] == 0);
  CHECK(logprobs[20] == doctest::Approx(best.logprob).epsilon(1e-5));
}

TEST_CASE("evaluate names and shapes its tensors and leaves the session alone") {
  const Tiny tiny;
  ponder_session_params params = ponder_session_params_default();
  params.compute = PONDER_COMPUTE_EXACT;
  params.prefill_chunk = 7;  // several chunks
  const Session session = tiny.session(params);
  prompt(session.get());
  ponder_error err;
  struct Host {
    std::map<std::string, std::pair<std::vector<std::int64_t>, ponder_dtype>> seen;
    std::vector<float> logits;
    int stop_after = INT32_MAX;
    static std::int32_t PONDER_CALL on_tensor(void* user, const char* name, ponder_dtype dtype, const void* data,
                                              const std::int64_t* shape, std::int32_t n_dims) {
      auto& host = *static_cast<Host*>(user);
      host.seen[name] = {std::vector<std::int64_t>(shape, shape + n_dims), dtype};
      if (name == std::string("logits")) {
        std::size_t n = 1;
        for (int i = 0; i < n_dims; ++i) n *= static_cast<std::size_t>(shape[i]);
        host.logits.assign(static_cast<const float*>(data), static_cast<const float*>(data) + n);
      }
      return static_cast<int>(host.seen.size()) >= host.stop_after;
    }
  } all, last, stopped;
  const std::vector<std::int32_t> ids = question_ids();
  const auto evaluate = [&](std::uint32_t flags, Host& host) {
    return ponder_session_evaluate(session.get(), ids.data(), ids.size(), nullptr, flags, Host::on_tensor, &host, &err);
  };
  REQUIRE_MESSAGE(evaluate(PONDER_EVALUATE_HIDDEN | PONDER_EVALUATE_MOE, all) == PONDER_OK, err.message);
  using Shape = std::vector<std::int64_t>;
  CHECK(all.seen["logits"].first == Shape{20, 264});
  CHECK(all.seen["hidden.0"].first == Shape{20, 128});
  CHECK(all.seen["hidden.3"].first == Shape{20, 128});
  CHECK(all.seen["hidden.final_norm"].first == Shape{20, 128});
  CHECK(all.seen["moe.1.ids"] == std::pair(Shape{20, 2}, ponder_dtype{PONDER_DTYPE_I32}));
  CHECK(all.seen["moe.2.weights"] == std::pair(Shape{20, 2}, ponder_dtype{PONDER_DTYPE_F32}));
  CHECK(all.seen.count("moe.0.ids") == 0);  // a dense layer
  CHECK(all.seen.size() == 1 + 4 + 1 + 4);
  REQUIRE(evaluate(PONDER_EVALUATE_LAST, last) == PONDER_OK);
  CHECK(last.seen.size() == 1);
  CHECK(last.seen["logits"].first == Shape{264});
  std::vector<float> own(264);
  REQUIRE(ponder_session_logits(session.get(), own.data(), own.size(), &err) == PONDER_OK);
  CHECK(last.logits == own);
  CHECK(std::equal(own.begin(), own.end(), all.logits.end() - 264));
  CHECK(tokens_of(session.get()) == ids);

  stopped.stop_after = 1;
  check_error(evaluate(PONDER_EVALUATE_HIDDEN, stopped), err, PONDER_E_CANCELLED);
  CHECK(stopped.seen.size() == 1);
  check_error(evaluate(8, stopped), err, PONDER_E_INVALID_ARGUMENT, {"flags", "8"});
  check_error(ponder_session_evaluate(session.get(), ids.data(), ids.size(), ids.data(), 0, Host::on_tensor, &all, &err), err,
              PONDER_E_UNSUPPORTED, {"MTP"});
}

TEST_CASE("handles may be freed in any order while a session works") {
  for (int order = 0; order < 3; ++order) {
    auto tiny = std::make_unique<Tiny>();
    Session session = tiny->session();
    prompt(session.get());
    if (order == 0) tiny->runtime.reset();
    if (order == 1) tiny->model.reset();
    if (order == 2) tiny.reset();
    const Session fork = fork_of(session.get());
    session.reset();
    CHECK(generate(fork.get()).answer == "\\boxed{432}");
  }
}

TEST_CASE("locale, rounding, denormals and signal handlers are left as they were found") {
  const char* before = std::setlocale(LC_ALL, nullptr);
  const std::string locale = before ? before : "";
  const bool comma = std::setlocale(LC_NUMERIC, "de_DE.UTF-8") != nullptr;  // where it is there, numbers still have points
  const std::string numeric = std::setlocale(LC_NUMERIC, nullptr);
  std::fesetround(FE_UPWARD);
#if defined(__x86_64__)
  const unsigned mode = _mm_getcsr() | 0x8040u;  // FTZ and DAZ on: a host's own choice
  _mm_setcsr(mode);
#endif
  auto* const handler = std::signal(SIGFPE, SIG_IGN);
  std::string answer;
  std::int64_t plan = 0;
  {
    const Tiny tiny;
    const Session session = tiny.session();
    prompt(session.get());
    answer = generate(session.get()).answer;
    ponder_buffer* json = nullptr;
    REQUIRE(ponder_inspect(kTiny.c_str(), nullptr, &json, nullptr) == PONDER_OK);
    plan = static_cast<std::int64_t>(text_of(json).size());
  }
  CHECK(std::fegetround() == FE_UPWARD);
#if defined(__x86_64__)
  CHECK((_mm_getcsr() & ~0x3fu) == (mode & ~0x3fu));  // the low bits are flags of what has happened
  _mm_setcsr(0x1f80);
#endif
  std::fesetround(FE_TONEAREST);
  CHECK((std::signal(SIGFPE, handler) == SIG_IGN));
  CHECK(std::setlocale(LC_NUMERIC, nullptr) == numeric);
  std::setlocale(LC_ALL, locale.c_str());
  CHECK(answer == "\\boxed{432}");
  CHECK(plan > 100);
  if (!comma) MESSAGE("de_DE.UTF-8 is not installed: checked with the default locale");
}
