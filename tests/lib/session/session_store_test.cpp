#include "tests/lib/session/session_fixture.h"

using namespace ponder::core;

namespace {

std::unique_ptr<Session> thinking_session() {
  auto session = test_session({.context_length = 100});
  GenerateParams params;
  params.sampling.temperature = 3.0f;
  params.sampling.seed = 5;
  params.sampling.logit_bias = {{50, 0.5f}};
  params.stop = {"boxed{0"};
  params.stop_ids = {200};
  REQUIRE(session->set_generate_params(params).ok());
  ask(*session, "What is 347+85?");
  read_reply(*session, 7);
  return session;
}

}  // namespace

TEST_CASE("saved session: restored in the middle of thinking it goes on as if nothing had happened") {
  auto session = thinking_session();
  CHECK(session->channel() == Channel::thinking);
  const std::string saved = session->save().value();
  const Reply want = read_reply(*session);
  auto other = test_session({.context_length = 100});
  ask(*other, "52-17");  // what it held before is forgotten
  REQUIRE_MESSAGE(other->restore(saved).ok(), other->restore(saved).message());
  CHECK(other->channel() == Channel::thinking);
  const Reply got = read_reply(*other, want.ids.size());
  CHECK(got.ids == want.ids);
  CHECK(got.thinking == want.thinking);
  CHECK(got.answer == want.answer);
}

TEST_CASE("saved session: one that is finished, deferred or empty") {
  auto session = test_session();
  const std::string empty = session->save().value();
  ask(*session, "What is 347+85?");
  read_reply(*session);
  const std::string finished = session->save().value();
  REQUIRE(session->restore(empty).ok());
  CHECK(session->tokens().empty());
  REQUIRE(session->restore(finished).ok());
  CHECK(session->finish_reason() == FinishReason::stop);
  TokenEvent event;
  CHECK(session->next(event).code() == Code::end);
  auto deferred = test_session({.defer_prefill = true});
  ask(*deferred, "What is 347+85?");
  REQUIRE(session->restore(deferred->save().value()).ok());
  CHECK(read_reply(*session).answer == "\\boxed{432}");
}

TEST_CASE("saved session: in the middle of forcing the end of thinking") {
  auto session = test_session();
  GenerateParams params;
  params.think_budget = 4;
  REQUIRE(session->set_generate_params(params).ok());
  ask(*session, "What is 347+85?");
  read_reply(*session, 5);
  const std::string saved = session->save().value();
  const Reply want = read_reply(*session, 30);
  auto other = test_session();
  REQUIRE(other->restore(saved).ok());
  CHECK(read_reply(*other, 30).ids == want.ids);
  CHECK(other->stats().forced_tokens == session->stats().forced_tokens);
}

TEST_CASE("saved session: every truncation and every flipped bit is refused and changes nothing") {
  auto session = thinking_session();
  const std::string saved = session->save().value();
  auto other = test_session({.context_length = 100});
  ask(*other, "What is 347+85?");
  const std::vector<TokenId> before(other->tokens().begin(), other->tokens().end());
  for (std::size_t n = 0; n < saved.size(); n += n < 1000 ? 1 : 97)
    CHECK(!other->restore(std::string_view(saved).substr(0, n)).ok());
  std::string damaged = saved;
  for (std::size_t bit = 0; bit < saved.size() * 8; bit += bit < 16'000 ? 1 : 1001) {
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    CHECK(!other->restore(damaged).ok());
    damaged[bit / 8] = saved[bit / 8];
  }
  CHECK(!other->restore(saved + "x").ok());
  CHECK(std::vector<TokenId>(other->tokens().begin(), other->tokens().end()) == before);
  CHECK(read_reply(*other).answer == "\\boxed{432}");
}

TEST_CASE("saved session: another model, a smaller context and another cache type are named") {
  auto session = thinking_session();
  const std::string saved = session->save().value();
  auto loaded = Model::load(folder_source(std::string(PONDER_TEST_DATA) + "/models/v2lite-tiny"), {});
  REQUIRE(loaded.ok());
  auto other_model = std::move(Session::create(test_runtime(), *loaded, {})).value();
  CHECK(other_model->restore(saved).message().find("another model") != std::string::npos);
  auto small = test_session({.context_length = 22});
  CHECK(small->restore(saved).code() == Code::context_full);
  auto half = test_session({.kv_type = DType::f16});
  CHECK(half->restore(saved).message().find("kv_type") != std::string::npos);
}
