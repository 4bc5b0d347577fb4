// The controller of thinking and answer, by the C ABI.
#include <thread>

#include "tests/capi/capi_fixture.h"

using namespace capi_test;

namespace {

ponder_session_stats stats_of(ponder_session* session) {
  ponder_session_stats stats{};
  stats.struct_size = sizeof stats;
  REQUIRE(ponder_session_get_stats(session, &stats, nullptr) == PONDER_OK);
  return stats;
}

void set_reasoning(ponder_session* session, const ponder_reasoning_params& params) {
  ponder_error err;
  REQUIRE_MESSAGE(ponder_session_set_reasoning(session, &params, &err) == PONDER_OK, err.message);
}

}  // namespace

TEST_CASE("reasoning: efforts are budgets, and fields come before them") {
  const Tiny tiny;
  const Session session = tiny.session();
  ponder_reasoning_params p = ponder_reasoning_params_default();
  p.effort = PONDER_EFFORT_NONE;
  set_reasoning(session.get(), p);
  prompt(session.get());
  Reply reply = generate(session.get());
  CHECK(reply.thinking == "\n");
  CHECK(stats_of(session.get()).thinking_tokens == 0);
  CHECK(stats_of(session.get()).think_end == PONDER_THINK_END_BUDGET);
  p.turn_budget = 3;
  p.grace = -1;
  set_reasoning(session.get(), p);
  prompt(session.get());
  reply = generate(session.get());
  CHECK(stats_of(session.get()).thinking_tokens == 3);
  CHECK(reply.n_forced > 0);
  p = ponder_reasoning_params_default();
  p.effort = PONDER_EFFORT_LOW;  // more than this model ever thinks
  set_reasoning(session.get(), p);
  prompt(session.get());
  reply = generate(session.get());
  CHECK(reply.answer == "\\boxed{432}");
  CHECK(stats_of(session.get()).think_end == PONDER_THINK_END_MODEL);
}

TEST_CASE("reasoning: waits and the message are seen in the stream, and params do not turn the controller off") {
  const Tiny tiny;
  const Session session = tiny.session();
  ponder_reasoning_params p = ponder_reasoning_params_default();
  p.max_waits = 1;
  p.wait_text = "But";
  p.turn_budget = 60;
  p.message = "Now the answer.";
  set_reasoning(session.get(), p);
  set_params(session.get(), ponder_generate_params_default());
  prompt(session.get());
  const Reply reply = generate(session.get());
  CHECK(reply.thinking.find("But") != std::string::npos);
  CHECK(stats_of(session.get()).n_waits == 1);
  ponder_error err;
  REQUIRE(ponder_session_set_reasoning(session.get(), nullptr, &err) == PONDER_OK);
  prompt(session.get());
  CHECK(generate(session.get()).thinking.find("But") == std::string::npos);
}

TEST_CASE("reasoning: the Skip button, from another thread and from a callback") {
  const Tiny tiny;
  const Session session = tiny.session();
  prompt(session.get());
  std::thread([&] { ponder_session_stop_thinking(session.get()); }).join();
  Reply reply = generate(session.get());
  CHECK(stats_of(session.get()).think_end == PONDER_THINK_END_USER);
  CHECK(reply.thinking == "7+5=12\n");  // its first line
  prompt(session.get());
  ponder_error err;
  const ponder_status status = ponder_session_generate(
      session.get(),
      [](void* user, const ponder_token_event*) -> std::int32_t {
        ponder_session_stop_thinking(static_cast<ponder_session*>(user));
        return 0;
      },
      session.get(), &err);
  CHECK(status == PONDER_OK);
  CHECK(stats_of(session.get()).think_end == PONDER_THINK_END_USER);
  prompt(session.get());  // forgotten
  CHECK(generate(session.get()).answer == "\\boxed{432}");
  CHECK(stats_of(session.get()).think_end == PONDER_THINK_END_MODEL);
}

TEST_CASE("reasoning: wrong settings are refused by name and change nothing") {
  const Tiny tiny;
  const Session session = tiny.session();
  const auto refused = [&](auto change) {
    ponder_reasoning_params p = ponder_reasoning_params_default();
    change(p);
    ponder_error err;
    CHECK(ponder_session_set_reasoning(session.get(), &p, &err) == PONDER_E_INVALID_ARGUMENT);
    return std::string(err.message);
  };
  using P = ponder_reasoning_params;
  CHECK(refused([](P& p) { p.flags = 8; }).find("ponder_reasoning_params.flags") != std::string::npos);
  CHECK(refused([](P& p) { p.effort = 5; }).starts_with("effort: 5"));
  CHECK(refused([](P& p) { p.grace = -2; }).starts_with("grace: -2"));
  CHECK(refused([](P& p) { p.turn_budget = -2; }).starts_with("turn_budget: -2"));
  CHECK(refused([](P& p) { p.block_budget = -2; }).starts_with("block_budget: -2"));
  CHECK(refused([](P& p) { p.answer_reserve = -2; }).starts_with("answer_reserve: -2"));
  CHECK(refused([](P& p) { p.min_tokens = -1; }).starts_with("min_tokens: -1"));
  CHECK(refused([](P& p) { p.max_waits = -1; }).starts_with("max_waits: -1"));
  CHECK(refused([](P& p) { p.message = "\xff"; }).find("UTF-8") != std::string::npos);
  prompt(session.get());
  CHECK(generate(session.get()).answer == "\\boxed{432}");
}
