#include "tests/lib/session/session_fixture.h"

using namespace ponder::core;

namespace {

std::string answer_of(Session& session, Status& end) {
  std::string answer;
  TokenEvent event;
  for (end = session.next(event); end.ok(); end = session.next(event))
    if (event.channel == Channel::answer) answer += event.text;
  return answer;
}

void set(Session& session, float temperature, std::uint64_t seed) {
  GenerateParams params;
  params.sampling.temperature = temperature;
  params.sampling.seed = seed;
  params.max_new_tokens = 400;
  params.think_budget = 20;
  REQUIRE(session.set_generate_params(params).ok());
}

}  // namespace

TEST_CASE("session: a grammar holds for the answer, not for the thinking, whatever the sampling") {
  auto session = test_session();
  int complete = 0;
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    set(*session, seed == 0 ? 0.0f : 3.0f, seed);
    REQUIRE(session->set_grammar(GrammarKind::json_schema, R"({"type":"object","properties":{"sum":{"type":"integer"}},"required":["sum"]})").ok());
    ask(*session, "What is 347+85?");
    Status end;
    const std::string answer = answer_of(*session, end);
    CAPTURE(answer);
    CHECK(end.code() == Code::end);
    CHECK(session->stats().thinking_tokens > 0);
    if (session->channel() == Channel::thinking) {  // the end token came within the thinking, where it is free
      CHECK(answer.empty());
      continue;
    }
    if (session->finish_reason() != FinishReason::stop) continue;
    ++complete;
    const auto json = parse_json(answer, "answer");
    REQUIRE(json.ok());
    REQUIRE(json->find("sum") != nullptr);
    CHECK(json->find("sum")->is_int());
  }
  CHECK(complete >= 5);
}

TEST_CASE("session: rewind, forks and later prompts begin where the grammar stands") {
  auto session = test_session();
  set(*session, 0, 0);
  REQUIRE(session->set_grammar(GrammarKind::regex, "the sum of them, (one|two) words").ok());
  ask(*session, "What is 347+85?");
  Status end;
  const std::string answer = answer_of(*session, end);
  CHECK(end.code() == Code::end);
  CHECK(session->finish_reason() == FinishReason::stop);
  CHECK((answer == "the sum of them, one words" || answer == "the sum of them, two words"));
  const std::size_t n_tokens = session->tokens().size();
  REQUIRE(session->rewind(n_tokens - 10).ok());
  auto fork = session->fork();
  REQUIRE(fork.ok());
  const std::string rest = answer_of(*session, end);
  CHECK(answer.ends_with(rest));
  CHECK(rest.size() == 9);  // bytes are tokens here, and one more ends the reply
  CHECK(answer_of(**fork, end) == rest);
  ask(*session, "What is 1+1?");
  CHECK(answer_of(*session, end).starts_with("the sum of them, "));
  session->set_grammar(std::nullopt);
  ask(*session, "What is 347+85?");
  CHECK_FALSE(answer_of(*session, end).starts_with("the sum"));
}

TEST_CASE("session: where a text is complete and no end token may come, the reply ends by itself") {
  auto session = test_session();
  GenerateParams params;
  params.ignore_eos = true;
  params.think_budget = 0;
  REQUIRE(session->set_generate_params(params).ok());
  REQUIRE(session->set_grammar(GrammarKind::gbnf, "root ::= \"yes\"").ok());
  ask(*session, "Is it?");
  Status end;
  CHECK(answer_of(*session, end) == "yes");
  CHECK(end.code() == Code::end);
  CHECK(session->finish_reason() == FinishReason::stop);
  CHECK(session->set_grammar(GrammarKind::gbnf, "root ::= ").code() == Code::ok);  // the empty answer
  ask(*session, "Is it?");
  CHECK(answer_of(*session, end).empty());
  CHECK(session->set_grammar(GrammarKind::gbnf, "root ::= x").code() == Code::invalid_argument);
}
