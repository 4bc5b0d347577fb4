// Several replies to one prompt: the same as sampled one by one, and the right one is taken.
#include "lib/session/vote.h"

#include <cmath>
#include <limits>

#include "tests/lib/session/session_fixture.h"

using namespace ponder::core;

namespace {

GenerateParams warm(std::uint64_t seed) {
  GenerateParams params;
  params.sampling.temperature = 1.3f;
  params.sampling.seed = seed;
  params.max_new_tokens = 120;
  return params;
}

std::unique_ptr<Session> asked(std::uint64_t seed, std::string_view question = "What is 23*45?") {
  auto session = test_session();
  REQUIRE(session->set_generate_params(warm(seed)).ok());
  ask(*session, question);
  return session;
}

SamplesResult voted(Session& session, const SamplesParams& params) {
  Result<SamplesResult> result = vote(session, params);
  REQUIRE_MESSAGE(result.ok(), result.status().message());
  return std::move(result).value();
}

}  // namespace

TEST_CASE("vote: each reply is the one that its seed gives alone, and the most frequent answer is taken") {
  auto session = asked(100);
  const std::size_t n_prompt = session->tokens().size();
  const SamplesResult result = voted(*session, {.n = 7, .n_parallel = 3, .all = true});
  REQUIRE(result.samples.size() == 7);
  std::vector<double> votes(result.group_weights.size(), 0);
  for (const Sample& sample : result.samples) {
    auto alone = asked(100 + sample.index);
    CAPTURE(sample.index);
    const Reply reply = read_reply(*alone);
    CHECK(reply.ids == sample.ids);
    CHECK(reply.thinking == sample.thinking);
    CHECK(reply.answer == sample.answer);
    CHECK(alone->stats().thinking_tokens == sample.stats.thinking_tokens);
    if (sample.group >= 0) votes[static_cast<std::size_t>(sample.group)] += 1;
    CHECK((sample.group >= 0) == sample.extracted.has_value());
  }
  CHECK(votes == result.group_weights);
  const Sample& best = result.samples[result.best];
  REQUIRE(best.group >= 0);
  CHECK(votes[static_cast<std::size_t>(best.group)] == *std::max_element(votes.begin(), votes.end()));
  // The session goes on with the reply that was taken.
  const std::vector<TokenId> tail(session->tokens().begin() + static_cast<std::ptrdiff_t>(n_prompt), session->tokens().end());
  CHECK(tail == best.ids);
  CHECK(session->stats().thinking_tokens == best.stats.thinking_tokens);
  CHECK(session->generate_params().sampling.seed == 100);
  TokenEvent event;
  CHECK(session->next(event).code() == Code::end);
  ask(*session, "What is 12+30?");
  GenerateParams greedy;
  REQUIRE(session->set_generate_params(greedy).ok());
  CHECK(read_reply(*session).answer == "\\boxed{42}");
}

TEST_CASE("vote: the result does not depend on how many are computed together") {
  auto one = asked(7), many = asked(7);
  const SamplesResult a = voted(*one, {.n = 6, .n_parallel = 1, .all = true}), b = voted(*many, {.n = 6, .all = true});
  for (const Sample& s : a.samples) {
    const auto same = std::find_if(b.samples.begin(), b.samples.end(), [&](const Sample& t) { return t.index == s.index; });
    REQUIRE(same != b.samples.end());
    CHECK(same->ids == s.ids);
  }
  CHECK(std::equal(one->tokens().begin(), one->tokens().end(), many->tokens().begin(), many->tokens().end()));
}

TEST_CASE("vote: it ends when the leader cannot be overtaken") {
  auto session = test_session();  // greedy: all say the same
  ask(*session, "What is 347+85?");
  SamplesResult result = voted(*session, {.n = 9, .n_parallel = 1});
  CHECK(result.samples.size() == 5);
  CHECK(result.n_started == 5);
  CHECK(result.group_weights == std::vector<double>{5});
  CHECK(result.samples[result.best].answer == "\\boxed{432}");
  ask(*session, "What is 347+85?");
  CHECK(voted(*session, {.n = 9, .n_parallel = 1, .all = true}).samples.size() == 9);
}

TEST_CASE("vote: a weighted vote counts how likely the replies are") {
  auto session = asked(3);
  const SamplesResult result = voted(*session, {.n = 5, .weighted = true, .all = true});
  std::vector<double> weights(result.group_weights.size(), 0);
  for (const Sample& s : result.samples)
    if (s.group >= 0) weights[static_cast<std::size_t>(s.group)] += std::exp(s.mean_logprob);
  for (std::size_t g = 0; g < weights.size(); ++g) CHECK(weights[g] == doctest::Approx(result.group_weights[g]));
}

TEST_CASE("vote: without an answer anywhere the likeliest reply is taken") {
  auto session = test_session();
  GenerateParams params = warm(5);
  params.max_new_tokens = 6;  // no box yet
  REQUIRE(session->set_generate_params(params).ok());
  ask(*session, "What is 23*45?");
  const SamplesResult result = voted(*session, {.n = 4});
  CHECK(result.samples.size() == 4);
  CHECK(result.group_weights.empty());
  for (const Sample& s : result.samples) CHECK(s.mean_logprob <= result.samples[result.best].mean_logprob);
}

TEST_CASE("best_of: the greatest score is taken, the first of equal ones, and one that is good enough ends it") {
  const SamplesParams params{.n = 6, .n_parallel = 2};
  const auto by_length = [](const Sample& sample, double& score) {
    score = -static_cast<double>(sample.ids.size());
    return true;
  };
  auto session = asked(20);
  auto result = best_of(*session, params, by_length);
  REQUIRE(result.ok());
  CHECK(result->samples.size() == 6);
  std::size_t shortest = 0;
  for (std::size_t i = 1; i < 6; ++i)
    if (result->samples[i].ids.size() < result->samples[shortest].ids.size()) shortest = i;
  CHECK(result->best == shortest);
  CHECK(std::equal(result->samples[shortest].ids.rbegin(), result->samples[shortest].ids.rend(), session->tokens().rbegin()));

  session = asked(20);
  int n_calls = 0;
  result = best_of(*session, {.n = 6, .n_parallel = 1, .threshold = 0.5}, [&](const Sample&, double& score) {
    score = ++n_calls == 3 ? 0.5 : 0.1;
    return true;
  });
  REQUIRE(result.ok());
  CHECK(n_calls == 3);
  CHECK(result->best == 2);

  session = asked(20);
  n_calls = 0;
  result = best_of(*session, {.n = 3, .n_parallel = 1, .threshold = 10}, [&](const Sample&, double& score) {
    score = ++n_calls == 2 ? -5.0 : std::numeric_limits<double>::quiet_NaN();
    return true;
  });
  REQUIRE(result.ok());
  CHECK(result->best == 1);
}

TEST_CASE("vote and best_of: what cannot be is refused, and a session that was refused or stopped is as it was") {
  auto session = test_session();
  CHECK(vote(*session, {}).status().code() == Code::state);  // not prompted
  session = asked(1);
  const std::vector<TokenId> before(session->tokens().begin(), session->tokens().end());
  CHECK(vote(*session, {.n = 0}).status().code() == Code::invalid_argument);
  CHECK(vote(*session, {.n = 1025}).status().code() == Code::invalid_argument);
  const auto stop = [](const Sample&, double&) { return false; };
  CHECK(best_of(*session, {.n = 2}, stop).status().code() == Code::cancelled);
  CHECK(std::equal(before.begin(), before.end(), session->tokens().begin(), session->tokens().end()));
  const auto cancels = [&](const Sample&, double& score) {
    session->cancel();
    score = 0;
    return true;
  };
  CHECK(best_of(*session, {.n = 4, .n_parallel = 1, .all = true}, cancels).status().code() == Code::cancelled);
  CHECK(std::equal(before.begin(), before.end(), session->tokens().begin(), session->tokens().end()));
  ask(*session, "What is 23*45?");
  TokenEvent event;
  REQUIRE(session->next(event).ok());
  CHECK(vote(*session, {}).status().code() == Code::state);  // begun
  REQUIRE(session->rewind(before.size()).ok());
  CHECK(vote(*session, {.n = 1}).ok());
}
