#include <algorithm>
#include <cmath>

#include "tests/golden/golden_fixture.h"
#include "tests/lib/session/session_fixture.h"

using namespace ponder::core;
using ponder::test::Fixture;

namespace {

using Inputs = std::vector<std::span<const TokenId>>;

std::unique_ptr<Session> session_of(const Fixture& f, const SessionParams& params = {}) {
  auto session = Session::create(test_runtime(), f.model, params);
  REQUIRE_MESSAGE(session.ok(), session.status().message());
  return std::move(session).value();
}

std::vector<float> embed(Session& session, const Inputs& inputs, const EmbedOptions& options = {}) {
  const auto vectors = session.embed(inputs, options);
  REQUIRE_MESSAGE(vectors.ok(), vectors.status().message());
  return *vectors;
}

double worst_difference(std::span<const float> got, std::span<const double> want) {
  REQUIRE(got.size() == want.size());
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) worst = std::max(worst, std::abs(double{got[i]} - want[i]) / (1 + std::abs(want[i])));
  return worst;
}

double length(std::span<const float> v) {
  double square = 0;
  for (float x : v) square += double{x} * double{x};
  return std::sqrt(square);
}

}  // namespace

TEST_CASE("embed: mean and last of the golden hidden states, and both at length 1") {
  for (const char* name : {"v2lite-tiny", "v3-tiny", "v3-fp8-tiny", "qwen2-tiny", "llama3-tiny"}) {
    CAPTURE(name);
    const Fixture f = ponder::test::load(name);
    const auto ids = ponder::test::values<TokenId>(f, "prompt.2.ids");
    const auto hidden = ponder::test::values<float>(f, "hidden.final_norm");
    const auto width = static_cast<std::size_t>(f.model->config().hidden_size);
    REQUIRE(hidden.size() == ids.size() * width);
    std::vector<double> mean(width, 0.0), last(hidden.end() - static_cast<std::ptrdiff_t>(width), hidden.end());
    for (std::size_t i = 0; i < hidden.size(); ++i) mean[i % width] += double{hidden[i]} / static_cast<double>(ids.size());
    auto session = session_of(f);
    CHECK(worst_difference(embed(*session, {ids}), mean) < f.tolerance);
    CHECK(worst_difference(embed(*session, {ids}, {Pooling::last}), last) < f.tolerance);
    for (auto* want : {&mean, &last}) {
      const std::vector<float> unit = embed(*session, {ids}, {want == &mean ? Pooling::mean : Pooling::last, true});
      CHECK(length(unit) == doctest::Approx(1));
      double square = 0;
      for (double v : *want) square += v * v;
      for (double& v : *want) v /= std::sqrt(square);
      CHECK(worst_difference(unit, *want) < f.tolerance);
    }
  }
}

TEST_CASE("embed: exact compute gives the bits of each input alone, in any company, order, chunk and thread count") {
  const Fixture f = ponder::test::load("v3-tiny");
  const auto a = ponder::test::values<TokenId>(f, "prompt.1.ids"), b = ponder::test::values<TokenId>(f, "prompt.2.ids"),
             c = ponder::test::values<TokenId>(f, "prompt.3.ids");
  const std::span<const TokenId> one(a.data(), 1);
  REQUIRE(c.size() > 100);
  auto alone = session_of(f, {.n_threads = 1});
  const Inputs inputs{a, c, one, b, c, a};
  for (const Pooling pooling : {Pooling::mean, Pooling::last}) {
    std::vector<float> want;
    for (const auto& input : inputs) {
      const std::vector<float> v = embed(*alone, {input}, {pooling});
      want.insert(want.end(), v.begin(), v.end());
    }
    for (const std::size_t chunk : {0, 1, 16, 37, 64}) {
      CAPTURE(chunk);
      auto session = session_of(f, {.prefill_chunk = chunk});
      CHECK(embed(*session, inputs, {pooling}) == want);
    }
    Inputs many;
    std::vector<float> want_many;
    for (int i = 0; i < 40; ++i) {
      many.push_back(one);
      want_many.insert(want_many.end(), want.end() - static_cast<std::ptrdiff_t>(4 * want.size() / 6),
                       want.end() - static_cast<std::ptrdiff_t>(3 * want.size() / 6));
    }
    CHECK(embed(*alone, many, {pooling}) == want_many);
  }
}

TEST_CASE("embed: the session's content and a step that is under way stay as they were") {
  auto plain = test_session(), session = test_session({.prefill_chunk = 8, .defer_prefill = true});
  ask(*plain, "What is 347+85?");
  ask(*session, "What is 347+85?");
  TokenEvent event;
  REQUIRE(session->step(0, event).code() == Code::pending);
  const TokenId ids[] = {1, 2, 3};
  CHECK(embed(*session, {ids}).size() == static_cast<std::size_t>(session->model().config().hidden_size));
  CHECK(read_reply(*session).ids == read_reply(*plain).ids);
}

TEST_CASE("embed: inputs that cannot be are refused by their number, a cancel ends it") {
  auto session = test_session({.context_length = 8});
  const TokenId ids[] = {1, 2, 3}, unknown[] = {1, 100000};
  const std::vector<TokenId> nine(9, 1);
  const auto status = [&](const Inputs& inputs) { return session->embed(inputs, {}).status(); };
  CHECK(session->embed({}, {}).ok());
  CHECK(status({ids, {}}).code() == Code::invalid_argument);
  CHECK(status({ids, {}}).message().find("input 1 has no tokens") != std::string::npos);
  CHECK(status({ids, unknown}).message().find("input 1: token id 100000") != std::string::npos);
  CHECK(status({ids, ids, nine}).code() == Code::context_full);
  CHECK(status({ids, ids, nine}).message().find("input 2 has 9 tokens") != std::string::npos);
  session->cancel();
  CHECK(status({ids}).code() == Code::cancelled);
  REQUIRE(session->rewind(0).ok());
  CHECK(status({ids}).ok());
}
