// Rewards for form, language, repetition and length, and what a model would try instead.
#include "lib/train/rewards.h"

#include <doctest/doctest.h>

#include <numeric>

namespace ponder::test {

using namespace ponder::core;

TEST_CASE("format reward") {
  const auto reward = [](std::string_view text, bool ended = true, FormatRule rule = {}) { return format_reward(text, ended, rule); };
  const std::string_view good = "1+2=3\n</think>\n\n\\boxed{3}";
  CHECK(reward(good) == 1);
  CHECK(reward(good, false) == 0);                                       // never ends
  CHECK(reward("\\boxed{3}") == 0);                                      // never closed
  CHECK(reward("\n</think>\n\n\\boxed{3}") == 0);                        // no thinking
  CHECK(reward("</think>\\boxed{3}") == 0);
  CHECK(reward("x</think>\n \n") == 0);                                  // no answer
  CHECK(reward("x\\boxed{3}</think>3") == 0);                            // the box inside the thinking only
  CHECK(reward("x</think>\\boxed{3}</think>\\boxed{4}") == 0);           // closed twice
  CHECK(reward("x<think>y</think>\\boxed{3}") == 0);                     // opened again
  CHECK(reward("x</think>\\boxed{3}<think>") == 0);
  CHECK(reward("x</think>3") == 0);
  CHECK(reward("x</think>3", true, {.wants_box = false}) == 1);
  CHECK(reward(good, true, {.thinking_open = false}) == 0);
  CHECK(reward("<think>x</think>\\boxed{3}", true, {.thinking_open = false}) == 1);
  CHECK(reward("y<think>x</think>\\boxed{3}", true, {.thinking_open = false}) == 0);
  CHECK(reward("") == 0);
}

TEST_CASE("language share: words of wanted scripts") {
  const auto latin = static_cast<std::uint32_t>(Script::latin), han = static_cast<std::uint32_t>(Script::han);
  CHECK(language_share("The sum of 3 and 4, né?", latin) == 1);
  CHECK(language_share("所以 so", latin) == doctest::Approx(1.0 / 3));
  CHECK(language_share("所以 so", han) == doctest::Approx(2.0 / 3));
  CHECK(language_share("所以 so", han + latin) == 1);
  CHECK(language_share("ответ 7", latin) == 0);
  CHECK(language_share("12 + 30 = \\frac{1}{2} ```python\nx = y\n```", han) == 1);  // no words
  CHECK(language_share("```not closed", han) == 1);
  CHECK(language_share("\xff\xfe", latin) == 1);
  CHECK(language_share("", latin) == 1);
}

TEST_CASE("repetition, overlong and length") {
  std::vector<TokenId> ids(40);
  std::iota(ids.begin(), ids.end(), 0);
  CHECK(repetition_penalty(ids) == 0);
  CHECK(repetition_penalty(std::span<const TokenId>(ids).first(19)) == 0);
  ids.assign(40, 7);
  CHECK(repetition_penalty(ids) == doctest::Approx(1.0 / 21 - 1));
  CHECK(repetition_penalty(std::vector<TokenId>{1, 2, 1, 2, 1}, 2) == doctest::Approx(2.0 / 4 - 1));

  CHECK(overlong_penalty(80, 100, 20) == 0);
  CHECK(overlong_penalty(90, 100, 20) == doctest::Approx(-0.5));
  CHECK(overlong_penalty(100, 100, 20) == -1);
  CHECK(overlong_penalty(500, 100, 20) == -1);
  CHECK(overlong_penalty(500, 100, 0) == 0);

  const std::size_t lengths[] = {10, 20, 30};
  CHECK(length_rewards(lengths, {true, true, true}) == std::vector<double>{0.5, 0, -0.5});
  CHECK(length_rewards(lengths, {false, true, false}) == std::vector<double>{0, 0, -0.5});
  const std::size_t equal[] = {10, 10};
  CHECK(length_rewards(equal, {true, false}) == std::vector<double>{0, 0});
  CHECK(length_rewards({}, {}).empty());
}

}  // namespace ponder::test
