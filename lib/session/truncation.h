// Samplers that leave out candidates. Each works on the candidates that are left, in any order, with probabilities
// softmax(logit) over these, and always leaves at least one; equal logits count as better the lower their id.
// None allocates.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/text/tokenizer.h"

namespace ponder::core {

struct Candidate {
  TokenId id;
  float logit;  // finite
};
using Candidates = std::vector<Candidate>;

// Logits of at least max - n * sigma, sigma their standard deviation. Tang et al. 2024, "Top-n-sigma", arXiv:2411.07641.
void keep_top_n_sigma(Candidates& candidates, float n);
// The k best.
void keep_top_k(Candidates& candidates, std::size_t k);
// The smallest set whose mass is at least p, of those whose -log p is nearest to the entropy. Meister et al. 2022,
// "Locally Typical Sampling", arXiv:2202.00666.
void keep_typical(Candidates& candidates, float p);
// The smallest set of best candidates whose mass is at least p. Holtzman et al. 2019, "The Curious Case of Neural Text
// Degeneration", arXiv:1904.09751.
void keep_top_p(Candidates& candidates, float p);
// Probabilities of at least p times the best one's. Nguyen et al. 2024, "Min-p", arXiv:2407.01082.
void keep_min_p(Candidates& candidates, float p);
// "Exclude top choices" (p-e-w, text-generation-webui pull request 6335): of the candidates with a probability of at
// least `threshold` only the least likely stays.
void exclude_top_choices(Candidates& candidates, float threshold);
// Surprise -log2 p of at most mu. Basu et al. 2020, "Mirostat", arXiv:2007.14966, in the version 2 of its authors.
// temperature divides the logits.
void keep_unsurprising(Candidates& candidates, float mu, float temperature);

// sum over candidates of exp((logit - max logit) / temperature)
struct Partition {
  double max_logit, sum;
};
Partition partition(const Candidates& candidates, double temperature = 1);

}  // namespace ponder::core
