// Votes and the best of several replies, by the C ABI and ponder.hpp.
#include <nlohmann/json.hpp>

#include "ponder/ponder.hpp"
#include "tests/capi/capi_fixture.h"

using namespace capi_test;
using nlohmann::json;

namespace {

void warm(ponder_session* session, std::uint64_t seed) {
  ponder_generate_params p = ponder_generate_params_default();
  p.temperature = 1.2f;
  p.seed = seed;
  p.max_new_tokens = 120;
  set_params(session, p);
}

}  // namespace

TEST_CASE("vote: the JSON says who voted for what, and the session holds the winner") {
  const Tiny tiny;
  const Session session = tiny.session();
  warm(session.get(), 5);
  prompt(session.get());
  ponder_samples_params p = ponder_samples_params_default();
  p.n = 5;
  p.flags = PONDER_SAMPLES_ALL;
  ponder_buffer* buffer = nullptr;
  ponder_error err;
  REQUIRE_MESSAGE(ponder_session_vote(session.get(), &p, &buffer, &err) == PONDER_OK, err.message);
  const json result = json::parse(text_of(buffer));
  CHECK(result["n_started"] == 5);
  REQUIRE(result["samples"].size() == 5);
  double weight = 0, most = 0;
  for (const json& group : result["groups"]) {
    weight += group["weight"].get<double>();
    most = std::max(most, group["weight"].get<double>());
    CHECK(group["n"].get<double>() == group["weight"].get<double>());
  }
  CHECK(weight <= 5);
  const json& best = result["samples"][result["best"].get<std::size_t>()];
  CHECK(result["groups"][best["group"].get<std::size_t>()]["weight"].get<double>() == most);
  CHECK(ponder_session_finish_reason(session.get()) == PONDER_FINISH_STOP);
  CHECK(ponder_session_vote(session.get(), nullptr, nullptr, &err) == PONDER_E_STATE);  // the reply has begun
}

TEST_CASE("best_of: the verifier sees each reply, may stop it, and an exception stops it too") {
  const Tiny tiny;
  const Session session = tiny.session();
  warm(session.get(), 9);
  prompt(session.get());
  ponder_samples_params p = ponder_samples_params_default();
  p.n = 4;
  p.n_parallel = 1;
  ponder_error err;
  int n_calls = 0;
  ponder_buffer* buffer = nullptr;
  const ponder_verifier_fn third = [](void* user, const ponder_sample* sample, double* out_score) -> std::int32_t {
    int& n = *static_cast<int*>(user);
    CHECK(sample->index == n);
    CHECK(sample->n_ids > 0);
    *out_score = ++n == 3 ? 1 : 0;
    return 0;
  };
  REQUIRE_MESSAGE(ponder_session_best_of(session.get(), &p, third, &n_calls, &buffer, &err) == PONDER_OK, err.message);
  CHECK(n_calls == 3);  // 1 is the threshold
  const json result = json::parse(text_of(buffer));
  CHECK(result["best"] == 2);
  CHECK(result["samples"][2]["score"] == 1.0);
  CHECK(!result.contains("groups"));

  prompt(session.get());
  const ponder_verifier_fn stops = [](void*, const ponder_sample*, double*) -> std::int32_t { return 1; };
  CHECK(ponder_session_best_of(session.get(), &p, stops, nullptr, &buffer, &err) == PONDER_E_CANCELLED);
  CHECK(buffer == nullptr);
  const ponder_verifier_fn throws = [](void*, const ponder_sample*, double*) -> std::int32_t { throw 1; };
  CHECK(ponder_session_best_of(session.get(), &p, throws, nullptr, nullptr, &err) == PONDER_E_CALLBACK);
}

TEST_CASE("samples: wrong params are refused by name") {
  const Tiny tiny;
  const Session session = tiny.session();
  prompt(session.get());
  const auto refused = [&](auto change) {
    ponder_samples_params p = ponder_samples_params_default();
    change(p);
    ponder_error err;
    CHECK(ponder_session_vote(session.get(), &p, nullptr, &err) == PONDER_E_INVALID_ARGUMENT);
    return std::string(err.message);
  };
  using P = ponder_samples_params;
  CHECK(refused([](P& p) { p.flags = 4; }).find("flags") != std::string::npos);
  CHECK(refused([](P& p) { p.n = -1; }).starts_with("n: -1"));
  CHECK(refused([](P& p) { p.n = 2000; }).starts_with("n: 2000"));
  CHECK(refused([](P& p) { p.n_parallel = -1; }).starts_with("n_parallel: -1"));
  CHECK(refused([](P& p) { p.place = 3; }).starts_with("place: 3"));
  CHECK(refused([](P& p) { p.reserved = 1; }).starts_with("reserved: 1"));
}

TEST_CASE("ponder.hpp: reasoning, vote and best_of") {
  const std::string folder = PONDER_MODELS "/ponder-tiny-r1";
  ponder::Session session = ponder::Model::load(folder).value().session().value();
  ponder::ReasoningOptions reasoning;
  reasoning.params.max_waits = 1;
  reasoning.params.turn_budget = 60;
  reasoning.wait_text = "Hmm";
  reasoning.message = "Enough.";
  REQUIRE(session.set_reasoning(reasoning).ok());
  ponder::Reply reply = session.generate("What is 347+85?").value();
  CHECK(reply.thinking.find("Hmm") != std::string::npos);
  REQUIRE(session.set_reasoning(std::nullopt).ok());
  reply = session.generate("What is 347+85?").value();
  CHECK(reply.answer == "\\boxed{432}");

  REQUIRE(session.prompt("What is 347+85?").ok());
  const json voted = json::parse(session.vote({.n = 3}).value());
  CHECK(voted["samples"].size() == 2);  // two of three, all the same
  REQUIRE(session.prompt("What is 347+85?").ok());
  const json best = json::parse(session.best_of([](const ponder::Sample& s) { return s.extracted == "432" ? 1.0 : 0.0; }, {.n = 3}).value());
  CHECK(best["samples"].size() == 1);
  REQUIRE(session.prompt("What is 347+85?").ok());
  CHECK_THROWS_AS((void)session.best_of([](const ponder::Sample&) -> double { throw 7; }), int);
}
