#include "lib/session/vote.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/format.h"

namespace ponder::core {

namespace {

struct Running {
  std::unique_ptr<Session> session;
  Sample sample;
  double sum_logprob = 0;
  std::size_t n_sampled = 0;
};

// Samples until all have come to an end or on_done says false. on_done gets each as it ends, and the replies that have not:
// running or to come.
template <class OnDone>
Status sample(Session& session, const SamplesParams& params, SamplesResult& result, std::unique_ptr<Session>& taken, OnDone&& on_done) {
  if (params.n == 0 || params.n > SamplesParams::kMaxSamples)
    return fail(Code::invalid_argument, "n: {}, want 1 to {}", params.n, SamplesParams::kMaxSamples);
  if (session.tokens().empty()) return Status(Code::state, "the session has no prompt yet");
  const SessionStats before = session.stats();
  if (before.thinking_tokens + before.answer_tokens + before.forced_tokens > 0)
    return Status(Code::state, "the session's reply has begun: prompt it, or rewind to the prompt");
  PONDER_TRY(session.logits().status());  // the prompt once for all
  const std::size_t n_parallel = std::min(params.n, params.n_parallel > 0 ? params.n_parallel : std::size_t{16});
  std::vector<Running> running;
  std::vector<Session*> list;
  std::vector<TokenEvent> events;
  std::vector<Status> statuses;
  for (;;) {
    while (running.size() < n_parallel && result.n_started < params.n) {
      Running next;
      PONDER_ASSIGN(next.session, session.fork());
      GenerateParams settings = session.generate_params();
      settings.sampling.seed += result.n_started;
      PONDER_TRY(next.session->set_generate_params(settings));
      next.sample.index = result.n_started++;
      running.push_back(std::move(next));
    }
    if (running.empty()) return {};
    list.clear();
    for (const Running& r : running) list.push_back(r.session.get());
    events.assign(list.size(), {});
    statuses.assign(list.size(), {});
    PONDER_TRY(Session::next_batch(list, events, statuses));
    if (session.is_cancelled()) return Status(Code::cancelled, "cancelled");
    for (std::size_t i = 0, at = 0; i < list.size(); ++i) {
      Running& r = running[at];
      const TokenEvent& event = events[i];
      if (statuses[i].ok()) {
        (event.channel == Channel::thinking ? r.sample.thinking : r.sample.answer) += event.text;
        r.sample.ids.push_back(event.id);
        if (!event.forced) r.sum_logprob += event.logprob, ++r.n_sampled;
        ++at;
        continue;
      }
      if (statuses[i].code() != Code::end && statuses[i].code() != Code::context_full)
        return std::move(statuses[i]).with_prefix(formatted("reply {}", r.sample.index));
      r.sample.stats = r.session->stats();
      r.sample.finish = r.session->finish_reason();
      r.sample.mean_logprob = r.sum_logprob / static_cast<double>(std::max<std::size_t>(r.n_sampled, 1));
      r.sample.extracted = extract_answer(r.sample.answer, params.place);
      if (r.sample.extracted && r.sample.extracted->empty()) r.sample.extracted.reset();
      Running done = std::move(r);
      running.erase(running.begin() + static_cast<std::ptrdiff_t>(at));
      bool best = false;
      result.samples.push_back(std::move(done.sample));
      PONDER_ASSIGN(const bool go_on, on_done(params.n - result.samples.size(), best));
      if (best) taken = std::move(done.session);
      if (!go_on) return {};
    }
  }
}

}  // namespace

Result<SamplesResult> vote(Session& session, const SamplesParams& params) {
  SamplesResult result;
  // The session of the best sample of each group, and of those without an answer, since any may win.
  struct Leader {
    std::size_t sample = 0;
    std::unique_ptr<Session> session;
  };
  std::unique_ptr<Session> taken;
  std::vector<Leader> leaders;
  Leader without;
  // on_done sees a sample before its session is handed over; so each is asked for, and sorted in with the next call.
  std::optional<std::size_t> handed;
  const auto keep = [&] {
    if (!handed) return;
    const std::size_t i = *handed;
    handed.reset();
    Leader& leader = result.samples[i].group < 0 ? without : leaders[static_cast<std::size_t>(result.samples[i].group)];
    if (leader.session && result.samples[i].mean_logprob <= result.samples[leader.sample].mean_logprob) return;
    leader = {i, std::move(taken)};
  };
  const auto on_done = [&](std::size_t n_left, bool& best) -> Result<bool> {
    keep();
    const std::size_t i = result.samples.size() - 1;
    Sample& s = result.samples[i];
    if (s.extracted) {
      for (std::size_t g = 0; g < leaders.size() && s.group < 0; ++g)
        if (answers_equal(*s.extracted, *result.samples[leaders[g].sample].extracted, {.allow_unevaluated = true}))
          s.group = static_cast<int>(g);
      if (s.group < 0) {
        s.group = static_cast<int>(leaders.size());
        leaders.push_back({i, nullptr});
        result.group_weights.push_back(0);
      }
      result.group_weights[static_cast<std::size_t>(s.group)] += params.weighted ? std::exp(s.mean_logprob) : 1;
    }
    best = true;
    handed = i;
    std::vector<double> weights = result.group_weights;
    std::sort(weights.rbegin(), weights.rend());
    const double first = weights.empty() ? 0 : weights[0], second = weights.size() < 2 ? 0 : weights[1];
    // No vote counts more than 1.
    return params.all || first <= second + static_cast<double>(n_left);
  };
  PONDER_TRY(sample(session, params, result, taken, on_done));
  keep();
  // The heaviest group; equal ones by their likeliest reply.
  const Leader* winner = nullptr;
  double weight = 0;
  for (std::size_t g = 0; g < leaders.size(); ++g) {
    const double w = result.group_weights[g];
    const bool better = !winner || w > weight ||
                        (w == weight && result.samples[leaders[g].sample].mean_logprob > result.samples[winner->sample].mean_logprob);
    if (better) winner = &leaders[g], weight = w;
  }
  if (!winner) winner = &without;
  result.best = winner->sample;
  PONDER_TRY(session.adopt(*winner->session));
  return result;
}

Result<SamplesResult> best_of(Session& session, const SamplesParams& params, const Verifier& verifier) {
  SamplesResult result;
  std::unique_ptr<Session> taken;
  const auto on_done = [&](std::size_t, bool& best) -> Result<bool> {
    const std::size_t i = result.samples.size() - 1;
    Sample& s = result.samples[i];
    s.score = std::numeric_limits<double>::quiet_NaN();
    if (!verifier(s, s.score)) return Status(Code::cancelled, "stopped by the verifier");
    const double so_far = result.samples[result.best].score;
    best = i == 0 || s.score > so_far || (std::isnan(so_far) && !std::isnan(s.score));
    if (best) result.best = i;
    return params.all || !(s.score >= params.threshold);
  };
  PONDER_TRY(sample(session, params, result, taken, on_done));
  PONDER_TRY(session.adopt(*taken));
  return result;
}

}  // namespace ponder::core
