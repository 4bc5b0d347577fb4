// Advantages by hand, and the gradient of the GRPO loss against central differences of the loss.
#include "lib/train/grpo_loss.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace ponder::test {

using namespace ponder::core;

TEST_CASE("GRPO: advantages of groups") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double rewards[] = {1, 0, 0, 0, /* no spread */ 1, 1, 1, 1, /* one missing */ nan, 2, 0, 1, /* one left */ nan, nan, nan, 3};
  const double deviation = std::sqrt(3.0 / 16);
  Advantages a = group_advantages(rewards, 4, AdvantageKind::group_std);
  CHECK(a.n_missing == 4);
  CHECK(a.n_groups_with_spread == 2);
  CHECK(a.values[0] == doctest::Approx(0.75 / (deviation + 1e-4)));
  CHECK(a.values[3] == doctest::Approx(-0.25 / (deviation + 1e-4)));
  CHECK(a.values[9] == doctest::Approx(1 / (std::sqrt(2.0 / 3) + 1e-4)));
  for (const std::size_t i : {4, 5, 6, 7, 8, 12, 13, 14, 15}) {
    CHECK(a.values[i] == 0);
    CHECK_FALSE(a.takes_part[i]);
  }
  CHECK(a.takes_part[11]);  // the mean itself: advantage 0, but of a group with spread
  CHECK(a.values[11] == 0);

  a = group_advantages(rewards, 4, AdvantageKind::group_mean);
  CHECK(a.values[0] == doctest::Approx(0.75));
  CHECK(a.values[10] == doctest::Approx(-1));
  a = group_advantages(rewards, 4, AdvantageKind::batch_std);
  const double batch = std::sqrt((0.75 + 2) / 7) + 1e-4;
  CHECK(a.values[0] == doctest::Approx(0.75 / batch));
  CHECK(a.values[10] == doctest::Approx(-1 / batch));
  CHECK(group_advantages({}, 4, AdvantageKind::group_std).values.empty());
}

TEST_CASE("GRPO: the gradient is that of the loss") {
  const std::vector<double> old = {-1.0, -0.5, -2.0, -0.1, -3.0}, reference = {-1.2, -0.4, -2.5, -0.2, -2.0};
  const LossBatch batch{3, 17};
  int n_clipped = 0;
  for (const LossWeights weights : {LossWeights::token, LossWeights::sequence, LossWeights::constant})
    for (const RatioKind ratio : {RatioKind::token, RatioKind::sequence})
      for (const double advantage : {1.3, -0.7})
        for (const double dual_clip : {0.0, 1.5})
          for (const double shift : {-0.4, -0.01, 0.02, 0.6}) {
            GrpoLossOptions options;
            options.weights = weights;
            options.ratio = ratio;
            options.kl_beta = 0.04;
            options.dual_clip = dual_clip;
            options.max_new_tokens = 9;
            CAPTURE(static_cast<int>(weights));
            CAPTURE(static_cast<int>(ratio));
            CAPTURE(advantage);
            CAPTURE(dual_clip);
            CAPTURE(shift);
            std::vector<double> logprobs = old, gradient(old.size()), ignored(old.size());
            for (std::size_t t = 0; t < old.size(); ++t) logprobs[t] += shift * (1 + 0.1 * static_cast<double>(t));
            GrpoSums sums;
            grpo_loss(options, batch, advantage, logprobs, old, reference, gradient, sums);
            n_clipped += static_cast<int>(sums.n_clipped);
            CHECK(sums.n_tokens == old.size());
            const auto loss = [&] {
              GrpoSums s;
              grpo_loss(options, batch, advantage, logprobs, old, reference, ignored, s);
              return s.loss;
            };
            for (std::size_t t = 0; t < old.size(); ++t) {
              const double before = logprobs[t], h = 1e-6;
              logprobs[t] = before + h;
              const double up = loss();
              logprobs[t] = before - h;
              const double down = loss();
              logprobs[t] = before;
              CHECK(gradient[t] == doctest::Approx((up - down) / (2 * h)).epsilon(1e-6));
            }
          }
  CHECK(n_clipped > 0);
}

TEST_CASE("GRPO: clipped tokens have no gradient; at ratio 1 it is that of cross-entropy times the advantage") {
  const std::vector<double> old = {-1.0, -2.0};
  std::vector<double> gradient(2);
  const LossBatch batch{1, 2};
  const auto run = [&](double advantage, const std::vector<double>& logprobs) {
    GrpoSums sums;
    grpo_loss({}, batch, advantage, logprobs, old, {}, gradient, sums);
    return sums;
  };
  GrpoSums sums = run(1, old);
  CHECK(gradient[0] == -0.5);
  CHECK(gradient[1] == -0.5);
  CHECK(sums.loss == doctest::Approx(-1));
  CHECK(sums.max_ratio_error == 0);
  CHECK(sums.n_clipped == 0);
  sums = run(1, {-1.0 + std::log(1.29), -2.0 + std::log(1.27)});
  CHECK(gradient[0] == 0);
  CHECK(gradient[1] == doctest::Approx(-0.5 * 1.27));
  CHECK(sums.n_clipped == 1);
  CHECK(sums.max_ratio_error == doctest::Approx(0.29));
  run(-1, {-1.0 + std::log(0.79), -2.0 + std::log(1.5)});
  CHECK(gradient[0] == 0);
  CHECK(gradient[1] == doctest::Approx(0.5 * 1.5));  // what became too likely is pushed down, however far it is
  run(0, {-1.5, -1.0});
  CHECK(gradient[0] == 0);
  CHECK(gradient[1] == 0);
  sums = run(-1, {-1.0, 100});  // a ratio that exp could not hold
  CHECK(std::isfinite(sums.loss));
  CHECK(gradient[1] == 0);
}

}  // namespace ponder::test
