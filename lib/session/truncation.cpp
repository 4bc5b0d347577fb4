#include "lib/session/truncation.h"

#include <algorithm>
#include <cmath>

namespace ponder::core {

namespace {

bool better(const Candidate& a, const Candidate& b) { return a.logit > b.logit || (a.logit == b.logit && a.id < b.id); }

template <class Keep>
void keep_if(Candidates& candidates, Keep&& keep) {
  candidates.erase(std::remove_if(candidates.begin(), candidates.end(), [&](const Candidate& c) { return !keep(c); }),
                   candidates.end());
}

// The first candidates in the order of `before` whose mass reaches p. A heap sorts only as many as are taken.
template <class Before>
void keep_mass(Candidates& candidates, float p, const Partition& all, Before&& before) {
  const auto later = [&](const Candidate& a, const Candidate& b) { return before(b, a); };
  std::make_heap(candidates.begin(), candidates.end(), later);
  double mass = 0;
  auto rest = candidates.end();
  while (rest != candidates.begin() && (mass < p || rest == candidates.end())) {
    std::pop_heap(candidates.begin(), rest, later);
    --rest;
    mass += std::exp(rest->logit - all.max_logit) / all.sum;
  }
  candidates.erase(candidates.begin(), rest);
}

}  // namespace

Partition partition(const Candidates& candidates, double temperature) {
  const float max_logit = std::min_element(candidates.begin(), candidates.end(), better)->logit;
  double sum = 0;
  for (const Candidate& c : candidates) sum += std::exp((static_cast<double>(c.logit) - max_logit) / temperature);
  return {max_logit, sum};
}

void keep_top_n_sigma(Candidates& candidates, float n) {
  double sum = 0, squares = 0;
  float max_logit = candidates.front().logit;
  for (const Candidate& c : candidates) {
    sum += c.logit;
    max_logit = std::max(max_logit, c.logit);
  }
  const double mean = sum / static_cast<double>(candidates.size());
  for (const Candidate& c : candidates) squares += (c.logit - mean) * (c.logit - mean);
  const double limit = max_logit - n * std::sqrt(squares / static_cast<double>(candidates.size()));
  keep_if(candidates, [&](const Candidate& c) { return c.logit >= limit || c.logit == max_logit; });
}

void keep_top_k(Candidates& candidates, std::size_t k) {
  if (k >= candidates.size()) return;
  std::nth_element(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(k), candidates.end(), better);
  candidates.resize(k);
}

void keep_typical(Candidates& candidates, float p) {
  const Partition all = partition(candidates);
  const auto log_probability = [&](const Candidate& c) { return c.logit - all.max_logit - std::log(all.sum); };
  double entropy = 0;
  for (const Candidate& c : candidates) entropy -= std::exp(log_probability(c)) * log_probability(c);
  keep_mass(candidates, p, all, [&](const Candidate& a, const Candidate& b) {
    const double of_a = std::abs(-log_probability(a) - entropy), of_b = std::abs(-log_probability(b) - entropy);
    return of_a < of_b || (of_a == of_b && better(a, b));
  });
}

void keep_top_p(Candidates& candidates, float p) { keep_mass(candidates, p, partition(candidates), better); }

void keep_min_p(Candidates& candidates, float p) {
  const float max_logit = std::min_element(candidates.begin(), candidates.end(), better)->logit;
  const double limit = max_logit + std::log(static_cast<double>(p));
  keep_if(candidates, [&](const Candidate& c) { return c.logit >= limit || c.logit == max_logit; });
}

void exclude_top_choices(Candidates& candidates, float threshold) {
  const Partition all = partition(candidates);
  const auto is_top = [&](const Candidate& c) { return std::exp(c.logit - all.max_logit) / all.sum >= threshold; };
  const Candidate* least = nullptr;
  for (const Candidate& c : candidates)
    if (is_top(c) && (!least || better(*least, c))) least = &c;
  if (!least) return;
  const TokenId stays = least->id;
  keep_if(candidates, [&](const Candidate& c) { return c.id == stays || !is_top(c); });
}

void keep_unsurprising(Candidates& candidates, float mu, float temperature) {
  const Partition all = partition(candidates, temperature);
  const Candidate best = *std::min_element(candidates.begin(), candidates.end(), better);
  keep_if(candidates, [&](const Candidate& c) {
    const double log_probability = (c.logit - all.max_logit) / temperature - std::log(all.sum);
    return c.id == best.id || -log_probability / std::log(2.0) <= mu;
  });
}

}  // namespace ponder::core
