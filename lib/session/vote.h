// Test-time compute: several replies to one prompt, sampled together from forks that share its cache, and the one that is
// taken. vote() takes the answer that most of them give, best_of() the one that a verifier likes best.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/session/session.h"
#include "lib/verify/answer.h"

namespace ponder::core {

struct SamplesParams {
  std::size_t n = 8;               // replies at most
  std::size_t n_parallel = 0;      // computed together; 0: min(n, 16)
  AnswerPlace place = AnswerPlace::boxed;
  bool weighted = false;           // a vote counts exp(mean log-probability of the reply's sampled tokens), not 1
  bool all = false;                // do not stop when the leader cannot be overtaken any more, or a score is good enough
  double threshold = 0;            // of best_of: a score from which on nothing better is looked for

  static constexpr std::size_t kMaxSamples = 1024;
};

struct Sample {
  std::size_t index = 0;               // its seed is that of the session plus this
  std::string thinking, answer;
  std::optional<std::string> extracted;  // the answer as `place` says; none: it has no vote
  std::vector<TokenId> ids;
  double mean_logprob = 0;             // of the sampled tokens
  SessionStats stats;
  FinishReason finish = FinishReason::none;
  int group = -1;                      // of equal answers; -1: none
  double score = 0;                    // of best_of
};

struct SamplesResult {
  std::vector<Sample> samples;         // those that came to an end, in that order
  std::size_t best = 0;                // index in samples
  std::vector<double> group_weights;
  std::size_t n_started = 0;           // others were stopped, or never begun
};

// The session is prompted, with nothing generated yet, and its settings are those of every reply but for the seed. On success
// it holds the reply that was taken, as if it had been its own; else it is as it was. The result depends on the settings and
// seed only, not on timing.
//   invalid_argument: n is 0 or too large; state: not prompted, or the reply has begun; cancelled, by Session::cancel() or when
//   told to; the first error of a reply.
// When no reply has an answer the likeliest one is taken.
Result<SamplesResult> vote(Session& session, const SamplesParams& params);

// The score of a sample; false cancels. Called as each comes to an end, on the calling thread.
using Verifier = std::function<bool(const Sample& sample, double& score)>;
// NaN is no score: such a sample is taken only when there is no other. Equal scores: the first.
Result<SamplesResult> best_of(Session& session, const SamplesParams& params, const Verifier& verifier);

}  // namespace ponder::core
