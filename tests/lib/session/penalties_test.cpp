#include "lib/session/penalties.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "lib/session/sampler.h"
#include "tests/lib/session/session_fixture.h"

using namespace ponder::core;

namespace {

constexpr std::size_t kVocab = 12;

std::vector<float> penalised(std::vector<float> logits, const std::vector<TokenId>& window, const SamplingParams& params) {
  std::vector<std::int32_t> counts(logits.size(), 0);
  apply_penalties(logits, window, params, counts);
  CHECK(std::count(counts.begin(), counts.end(), 0) == static_cast<std::ptrdiff_t>(counts.size()));
  return logits;
}

// What each id loses by DRY; zero logits.
std::map<TokenId, float> dry_losses(const std::vector<TokenId>& window, const SamplingParams& params,
                                    const std::vector<std::uint8_t>& is_breaker = {}) {
  std::vector<float> logits(kVocab, 0.0f);
  std::vector<std::int32_t> lengths(kVocab, 0);
  apply_dry(logits, window, params, is_breaker, lengths);
  CHECK(std::count(lengths.begin(), lengths.end(), 0) == static_cast<std::ptrdiff_t>(lengths.size()));
  std::map<TokenId, float> losses;
  for (std::size_t id = 0; id < kVocab; ++id)
    if (logits[id] != 0) losses[static_cast<TokenId>(id)] = -logits[id];
  return losses;
}

SamplingParams dry(float multiplier, float base, std::int32_t allowed_length) {
  SamplingParams params;
  params.dry_multiplier = multiplier;
  params.dry_base = base;
  params.dry_allowed_length = allowed_length;
  return params;
}

using Losses = std::map<TokenId, float>;

}  // namespace

TEST_CASE("penalties: repetition divides what is above zero and multiplies what is below, once per id") {
  SamplingParams params;
  params.repetition_penalty = 2;
  CHECK(penalised({3, -3, 0, 5}, {0, 1, 1, 0, 2}, params) == std::vector<float>{1.5f, -6, 0, 5});
}

TEST_CASE("penalties: frequency counts, presence does not") {
  SamplingParams params;
  params.frequency_penalty = 0.5f;
  params.presence_penalty = 2;
  CHECK(penalised({3, 3, 3}, {0, 1, 0, 0}, params) == std::vector<float>{3 - 1.5f - 2, 3 - 0.5f - 2, 3});
  params.frequency_penalty = params.presence_penalty = -1;  // the other way round
  CHECK(penalised({3, 3, 3}, {1}, params) == std::vector<float>{3, 5, 3});
}

TEST_CASE("penalties: repetition comes before frequency and presence") {
  SamplingParams params;
  params.repetition_penalty = 4;
  params.presence_penalty = 1;
  CHECK(penalised({2, 8}, {0}, params) == std::vector<float>{-0.5f, 8});  // 2 / 4 - 1, not (2 - 1) / 4
}

TEST_CASE("penalties: the window is the end of the history") {
  const std::vector<TokenId> history{1, 2, 3};
  CHECK(last_tokens(history, -1).size() == 3);
  CHECK(last_tokens(history, 0).empty());
  CHECK(last_tokens(history, 2)[0] == 2);
  CHECK(last_tokens(history, 9).size() == 3);
}

TEST_CASE("DRY: what would continue a repetition loses multiplier * base^(length - allowed length)") {
  //                          a  b  c  d  .  a  b  c
  CHECK(dry_losses({1, 2, 3, 4, 9, 1, 2, 3}, dry(1.5f, 2, 2)) == Losses{{4, 3.0f}});   // three tokens repeat
  CHECK(dry_losses({1, 2, 3, 4, 9, 1, 2, 3}, dry(1.5f, 2, 3)) == Losses{{4, 1.5f}});
  CHECK(dry_losses({1, 2, 3, 4, 9, 1, 2, 3}, dry(1.5f, 2, 4)).empty());
  CHECK(dry_losses({1, 2, 3, 4}, dry(1.5f, 2, 1)).empty());
  CHECK(dry_losses({}, dry(1, 2, 1)).empty());
  CHECK(dry_losses({1}, dry(1, 2, 1)).empty());
}

TEST_CASE("DRY: the longest repetition before a token counts, and several tokens can lose") {
  // "1 2" was followed by 5, "7 1 2" by 6; now "7 1 2" again.
  CHECK(dry_losses({1, 2, 5, 7, 1, 2, 6, 8, 7, 1, 2}, dry(1, 3, 2)) == Losses{{5, 1.0f}, {6, 3.0f}});
  CHECK(dry_losses({1, 2, 5, 7, 1, 2, 5, 8, 7, 1, 2}, dry(1, 3, 2)) == Losses{{5, 3.0f}});
}

TEST_CASE("DRY: a repetition may overlap itself") {
  CHECK(dry_losses({4, 4, 4, 4}, dry(1, 2, 2)) == Losses{{4, 2.0f}});  // the last three equal the three before
}

TEST_CASE("DRY: breakers end a repetition and lose nothing") {
  std::vector<std::uint8_t> is_breaker(kVocab, 0);
  is_breaker[2] = 1;
  CHECK(dry_losses({1, 2, 3, 4, 9, 1, 2, 3}, dry(1, 2, 1), is_breaker) == Losses{{4, 1.0f}});  // only "3" counts
  CHECK(dry_losses({1, 2, 3, 4, 9, 1, 2, 3}, dry(1, 2, 2), is_breaker).empty());
  CHECK(dry_losses({3, 1, 2, 9, 3, 1}, dry(1, 2, 2), is_breaker).empty());  // 2 would follow, but is a breaker
  CHECK(dry_losses({1, 2, 4, 1, 2}, dry(1, 2, 1), is_breaker).empty());     // the last token is one
}

TEST_CASE("DRY: very long repetitions lose much but stay finite") {
  const std::vector<TokenId> window(3000, 7);
  const Losses losses = dry_losses(window, dry(10, 1.75f, 2));
  REQUIRE(losses.size() == 1);
  CHECK(losses.at(7) >= 1e30f);
  CHECK(std::isfinite(losses.at(7)));
  CHECK(dry_losses(window, dry(10, 1, 2)).at(7) == 10);  // base 1: no growth
}

TEST_CASE("DRY: equals a plain search for the longest repetition") {
  std::mt19937 random(2);
  for (int repeat = 0; repeat < 300; ++repeat) {
    const std::size_t n = random() % 40;
    std::vector<TokenId> window(n);
    for (TokenId& id : window) id = static_cast<TokenId>(random() % 4);
    std::vector<std::uint8_t> is_breaker(kVocab, 0);
    is_breaker[3] = random() % 2;
    const auto allowed = static_cast<std::int32_t>(1 + random() % 3);
    Losses want;
    for (std::size_t next = 1; next < n; ++next) {  // window[next] came after window[.. next - 1]
      if (is_breaker[static_cast<std::size_t>(window[next])]) continue;
      std::size_t length = next;  // try the longest first
      for (; length > 0; --length)
        if (std::equal(window.end() - static_cast<std::ptrdiff_t>(length), window.end(),
                       window.begin() + static_cast<std::ptrdiff_t>(next - length)) &&
            std::none_of(window.end() - static_cast<std::ptrdiff_t>(length), window.end(),
                         [&](TokenId id) { return is_breaker[static_cast<std::size_t>(id)] != 0; }))
          break;
      if (static_cast<std::int32_t>(length) < allowed || length == 0) continue;
      float& loss = want[window[next]];
      loss = std::max(loss, static_cast<float>(0.8 * std::pow(1.75, static_cast<double>(length) - allowed)));
    }
    const Losses got = dry_losses(window, dry(0.8f, 1.75f, allowed), is_breaker);
    REQUIRE(got.size() == want.size());
    for (const auto& [id, loss] : want) CHECK(got.at(id) == doctest::Approx(loss).epsilon(1e-6));
  }
}

TEST_CASE("DRY: tokens with a newline, colon, quote or asterisk and added tokens are breakers") {
  const auto is_breaker = dry_breakers(*tiny_r1()->tokenizer(), 264);
  for (char c : std::string("\n:\"*")) CHECK(is_breaker[static_cast<unsigned char>(c)] == 1);
  for (char c : std::string("a0+ ;'")) CHECK(is_breaker[static_cast<unsigned char>(c)] == 0);
  for (std::size_t id : {256, 257, 260, 261}) CHECK(is_breaker[id] == 1);
}
