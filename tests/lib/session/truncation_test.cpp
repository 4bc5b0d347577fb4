#include "lib/session/truncation.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

using namespace ponder::core;

namespace {

using Ids = std::set<TokenId>;

Ids ids_of(const Candidates& candidates) {
  Ids ids;
  for (const Candidate& c : candidates) ids.insert(c.id);
  REQUIRE(ids.size() == candidates.size());
  return ids;
}

// Logits in steps of 1/4, so that ties are common; shuffled, because samplers must not count on an order.
Candidates random_candidates(std::mt19937& random, std::size_t n) {
  Candidates candidates;
  for (std::size_t i = 0; i < n; ++i)
    candidates.push_back({static_cast<TokenId>(3 * i), static_cast<float>(static_cast<int>(random() % 60)) / 4 - 9});
  std::shuffle(candidates.begin(), candidates.end(), random);
  return candidates;
}

Candidates of_probabilities(std::vector<double> probabilities) {
  Candidates candidates;
  for (std::size_t i = 0; i < probabilities.size(); ++i)
    candidates.push_back({static_cast<TokenId>(i), static_cast<float>(std::log(probabilities[i]) + 3)});
  return candidates;
}

// The papers' words, with a full sort and f64.
struct Item {
  TokenId id;
  double logit, p;
};
std::vector<Item> sorted(const Candidates& candidates) {
  std::vector<Item> items;
  double sum = 0;
  for (const Candidate& c : candidates) items.push_back({c.id, c.logit, std::exp(static_cast<double>(c.logit))});
  for (const Item& item : items) sum += item.p;
  for (Item& item : items) item.p /= sum;
  std::sort(items.begin(), items.end(),
            [](const Item& a, const Item& b) { return a.logit != b.logit ? a.logit > b.logit : a.id < b.id; });
  return items;
}
Ids until_mass(const std::vector<Item>& items, double mass) {
  Ids ids;
  double sum = 0;
  for (const Item& item : items) {
    ids.insert(item.id);
    if ((sum += item.p) >= mass) break;
  }
  return ids;
}

template <class Check>
void for_random_candidates(Check&& check) {
  std::mt19937 random(1);
  for (std::size_t n : {1, 2, 3, 10, 64, 300})
    for (int repeat = 0; repeat < 20; ++repeat) check(random_candidates(random, n));
}

}  // namespace

TEST_CASE("truncation: top-k keeps the k best and of equals those with the lower ids") {
  Candidates four{{7, 1.0f}, {2, 5.0f}, {5, 1.0f}, {9, 3.0f}};
  keep_top_k(four, 3);
  CHECK(ids_of(four) == Ids{2, 9, 5});
  for_random_candidates([](const Candidates& all) {
    const std::vector<Item> items = sorted(all);
    for (std::size_t k : {1, 2, 5, 63, 1000}) {
      Candidates kept = all;
      keep_top_k(kept, k);
      Ids want;
      for (std::size_t i = 0; i < std::min(k, items.size()); ++i) want.insert(items[i].id);
      CHECK(ids_of(kept) == want);
    }
  });
}

TEST_CASE("truncation: top-p keeps the smallest set of best candidates that has the mass") {
  Candidates four = of_probabilities({0.1, 0.5, 0.3, 0.1});
  keep_top_p(four, 0.75f);
  CHECK(ids_of(four) == Ids{1, 2});
  Candidates next = of_probabilities({0.1, 0.5, 0.3, 0.1});
  keep_top_p(next, 0.85f);
  CHECK(ids_of(next) == Ids{0, 1, 2});
  Candidates tiny = of_probabilities({0.1, 0.5, 0.3, 0.1});
  keep_top_p(tiny, 1e-9f);
  CHECK(ids_of(tiny) == Ids{1});
  for_random_candidates([](const Candidates& all) {
    for (float p : {0.011f, 0.3f, 0.777f, 0.95f, 0.9999f}) {
      Candidates kept = all;
      keep_top_p(kept, p);
      CHECK(ids_of(kept) == until_mass(sorted(all), p));
    }
  });
}

TEST_CASE("truncation: min-p keeps what has at least that share of the best probability") {
  Candidates four = of_probabilities({0.12, 0.5, 0.3, 0.08});
  keep_min_p(four, 0.2f);
  CHECK(ids_of(four) == Ids{0, 1, 2});
  Candidates equal{{4, 2.0f}, {6, 2.0f}};
  keep_min_p(equal, 1.0f);
  CHECK(ids_of(equal) == Ids{4, 6});
  for_random_candidates([](const Candidates& all) {
    const std::vector<Item> items = sorted(all);
    for (float p : {0.013f, 0.1f, 0.5f, 0.99f}) {
      Candidates kept = all;
      keep_min_p(kept, p);
      Ids want;
      for (const Item& item : items)
        if (item.p >= p * items.front().p) want.insert(item.id);
      CHECK(ids_of(kept) == want);
    }
  });
}

TEST_CASE("truncation: typical keeps what surprises as much as the entropy says") {
  // Entropy of {0.4, 0.3, 0.2, 0.1} is 1.2799; -log p: 0.916, 1.204, 1.609, 2.303. Nearest first: 0.3, 0.2, 0.4, 0.1.
  Candidates four = of_probabilities({0.4, 0.3, 0.2, 0.1});
  keep_typical(four, 0.45f);
  CHECK(ids_of(four) == Ids{1, 2});
  four = of_probabilities({0.4, 0.3, 0.2, 0.1});
  keep_typical(four, 0.55f);
  CHECK(ids_of(four) == Ids{0, 1, 2});
  for_random_candidates([](const Candidates& all) {
    std::vector<Item> items = sorted(all);
    double entropy = 0;
    for (const Item& item : items) entropy -= item.p * std::log(item.p);
    std::stable_sort(items.begin(), items.end(), [&](const Item& a, const Item& b) {
      return std::abs(std::log(a.p) + entropy) < std::abs(std::log(b.p) + entropy);
    });
    for (float p : {0.05f, 0.5f, 0.9f}) {
      Candidates kept = all;
      keep_typical(kept, p);
      CHECK(ids_of(kept) == until_mass(items, p));
    }
  });
}

TEST_CASE("truncation: top-n-sigma keeps what is within n deviations of the best") {
  // Logits 0, 0, 0, 4: mean 1, sigma sqrt(3).
  Candidates four{{0, 0.0f}, {1, 0.0f}, {2, 0.0f}, {3, 4.0f}};
  keep_top_n_sigma(four, 2.3f);
  CHECK(ids_of(four) == Ids{3});
  four = {{0, 0.0f}, {1, 0.0f}, {2, 0.0f}, {3, 4.0f}};
  keep_top_n_sigma(four, 2.4f);
  CHECK(four.size() == 4);
  for_random_candidates([](const Candidates& all) {
    double mean = 0, variance = 0;
    for (const Candidate& c : all) mean += c.logit / static_cast<double>(all.size());
    for (const Candidate& c : all) variance += std::pow(c.logit - mean, 2) / static_cast<double>(all.size());
    const std::vector<Item> items = sorted(all);
    for (float n : {0.0f, 0.511f, 1.013f, 2.017f}) {
      Candidates kept = all;
      keep_top_n_sigma(kept, n);
      Ids want;
      for (const Item& item : items)
        if (item.logit >= items.front().logit - n * std::sqrt(variance)) want.insert(item.id);
      CHECK(ids_of(kept) == want);
    }
  });
}

TEST_CASE("truncation: XTC leaves of the top choices only the least likely") {
  Candidates five = of_probabilities({0.05, 0.4, 0.25, 0.2, 0.1});
  exclude_top_choices(five, 0.19f);
  CHECK(ids_of(five) == Ids{0, 3, 4});
  five = of_probabilities({0.05, 0.4, 0.25, 0.2, 0.1});
  exclude_top_choices(five, 0.3f);  // one top choice only: it stays
  CHECK(five.size() == 5);
  exclude_top_choices(five, 0.45f);  // none
  CHECK(five.size() == 5);
  Candidates equal{{1, 0.0f}, {2, 0.0f}, {3, 0.0f}};  // of equals the lower ids are the better ones
  exclude_top_choices(equal, 0.3f);
  CHECK(ids_of(equal) == Ids{3});
}

TEST_CASE("truncation: mirostat's cut keeps what surprises at most mu bits, and always the best") {
  Candidates four = of_probabilities({0.125, 0.5, 0.25, 0.125});
  keep_unsurprising(four, 2.5f, 1);
  CHECK(ids_of(four) == Ids{1, 2});
  keep_unsurprising(four, -1, 1);
  CHECK(ids_of(four) == Ids{1});
  four = of_probabilities({0.125, 0.5, 0.25, 0.125});  // at temperature 0.5: p squared, 1/22, 16/22, 4/22, 1/22
  keep_unsurprising(four, 2.5f, 0.5f);
  CHECK(ids_of(four) == Ids{1, 2});
  keep_unsurprising(four, 0.5f, 0.5f);  // 4/5 is 0.32 bits
  CHECK(ids_of(four) == Ids{1});
}

TEST_CASE("truncation: extreme logits and parameters never leave an empty set") {
  const std::vector<Candidates> cases{
      {{0, 0.0f}},
      {{0, 3e38f}, {1, -3e38f}, {2, 3e38f}},
      {{5, -3e38f}, {6, -3e38f}},
      {{0, 1e-40f}, {1, -1e-40f}, {2, 88.0f}},
  };
  for (const Candidates& all : cases)
    for (float p : {1e-40f, 1e-6f, 0.5f, 1.0f - 1e-7f, 1.0f, 1e30f}) {
      const auto check = [&](auto&& keep) {
        Candidates kept = all;
        keep(kept);
        CHECK(!kept.empty());
        CHECK(kept.size() <= all.size());
      };
      check([&](Candidates& c) { keep_top_k(c, 1); });
      check([&](Candidates& c) { keep_top_p(c, p); });
      check([&](Candidates& c) { keep_typical(c, p); });
      check([&](Candidates& c) { keep_min_p(c, std::min(p, 1.0f)); });
      check([&](Candidates& c) { keep_top_n_sigma(c, p); });
      check([&](Candidates& c) { exclude_top_choices(c, p); });
      check([&](Candidates& c) { keep_unsurprising(c, -p, 1); });
      check([&](Candidates& c) { keep_unsurprising(c, p, 1e-30f); });
    }
}
