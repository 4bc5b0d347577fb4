#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "lib/model/decoder_layer.h"

using namespace ponder::core;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

struct Chosen {
  std::vector<std::int32_t> ids;
  std::vector<float> weights;
};

Config v3(std::int64_t top_k, std::int64_t n_group = 1, std::int64_t topk_group = 1) {
  Config c;
  c.topk_method = TopkMethod::noaux_tc;
  c.scoring_func = ScoringFunc::sigmoid;
  c.norm_topk_prob = true;
  c.num_experts_per_tok = top_k;
  c.n_group = n_group;
  c.topk_group = topk_group;
  return c;
}
Config v2(std::int64_t top_k) {
  Config c;
  c.num_experts_per_tok = top_k;
  return c;
}

Chosen choose(const Config& config, std::vector<float> logits, const std::vector<float>& bias = {}) {
  Chosen chosen;
  chosen.ids.resize(static_cast<std::size_t>(config.num_experts_per_tok));
  chosen.weights.resize(chosen.ids.size());
  route(config, bias.empty() ? nullptr : bias.data(), logits, chosen.ids, chosen.weights);
  return chosen;
}
float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

TEST_CASE("router: the correction bias selects and does not weigh") {
  Config c = v3(2);
  c.routed_scaling_factor = 3;
  const Chosen chosen = choose(c, {1, 0, -1, 2}, {0, 0, 5, 0});
  CHECK(chosen.ids == std::vector<std::int32_t>{2, 3});
  const float sum = sigmoid(-1) + sigmoid(2);
  CHECK(chosen.weights[0] == doctest::Approx(3 * sigmoid(-1) / sum));
  CHECK(chosen.weights[1] == doctest::Approx(3 * sigmoid(2) / sum));
}

TEST_CASE("router: norm_topk_prob with one expert: V3 gives it the factor, V2 its probability times the factor") {
  Config c = v3(1);
  c.routed_scaling_factor = 2.5;
  CHECK(choose(c, {0, 1}).weights[0] == doctest::Approx(2.5));
  c.norm_topk_prob = false;
  CHECK(choose(c, {0, 1}).weights[0] == doctest::Approx(2.5 * sigmoid(1)));
  Config d = v2(1);
  d.norm_topk_prob = true;
  d.routed_scaling_factor = 2;
  CHECK(choose(d, {0, 1}).weights[0] == doctest::Approx(2 * sigmoid(1)));  // softmax of two is a sigmoid
}

TEST_CASE("router: V2 that normalises does not scale") {
  Config c = v2(2);
  c.norm_topk_prob = true;
  c.routed_scaling_factor = 16;
  const Chosen chosen = choose(c, {0, 1, 2});
  CHECK(chosen.weights[0] + chosen.weights[1] == doctest::Approx(1));
}

TEST_CASE("router: noaux_tc ranks groups by their two best, also where all scores are negative") {
  // Groups {0, 1} and {2, 3}: the best single expert is 0, the best pair 2 and 3.
  const Chosen chosen = choose(v3(2, 2, 1), {3, -3, 2, 2});
  CHECK(chosen.ids == std::vector<std::int32_t>{2, 3});
  const Chosen negative = choose(v3(2, 2, 1), {3, -3, 2, 2}, {-5, -5, -5, -5});
  CHECK(negative.ids == std::vector<std::int32_t>{2, 3});
}

TEST_CASE("router: group_limited_greedy ranks groups by their best expert") {
  Config c = v2(2);
  c.topk_method = TopkMethod::group_limited_greedy;
  c.n_group = 2;
  c.topk_group = 1;
  CHECK(choose(c, {3, -3, 2, 2}).ids == std::vector<std::int32_t>{0, 1});
}

TEST_CASE("router: whatever the scores, ids are distinct, ascending and in range") {
  const std::vector<std::vector<float>> rows = {{kNan, kNan, kNan, kNan}, {kInf, kInf, -kInf, -kInf},
                                                {-kInf, -kInf, -kInf, -kInf}, {kNan, 1, kInf, -kInf},
                                                {1e30f, -1e30f, 0, 0},        {0, 0, 0, 0}};
  for (const auto& row : rows)
    for (Config c : {v3(3), v3(2, 2, 1), v2(3)}) {
      const Chosen chosen = choose(c, row, {0, 0, 0, 0});
      for (std::size_t i = 0; i < chosen.ids.size(); ++i) {
        CHECK(chosen.ids[i] >= (i == 0 ? 0 : chosen.ids[i - 1] + 1));
        CHECK(chosen.ids[i] < 4);
      }
    }
  CHECK(choose(v3(2), {kNan, 1, kNan, -1}, {0, 0, 0, 0}).ids == std::vector<std::int32_t>{1, 3});
}
