// Early exit: the answer is looked at on trial, behind the cached tokens, and the thinking ends when it has settled.
#include <algorithm>
#include <cmath>

#include "lib/session/session_state.h"
#include "lib/verify/answer.h"

namespace ponder::core {

namespace {

constexpr std::string_view kBox = "\\boxed{";

}  // namespace

bool Session::State::probe_due() const {
  const ReasoningParams& r = generate.reasoning;
  if (probe.active) return true;
  if (!r.enabled || r.early_exit == EarlyExit::off || is_forcing() || !logits_valid) return false;
  if (reasoning.channel() != Channel::thinking || thinking.asked != ThinkEnd::none || !at_line_start) return false;
  if (stats.thinking_tokens - probed.at < r.probe_every || (r.probe_max > 0 && probed.n_probes >= r.probe_max)) return false;
  // Without room in the cache nothing is looked at.
  return tokens.size() + reasoning.probe().size() + static_cast<std::size_t>(r.probe_tokens) <= params.context_length;
}

// OK when the probe is done; what it said is in `probed`, and the logits are as before. pending: to be called again.
Status Session::State::look_at_answer(Forward::Clock::time_point deadline) {
  if (!probe.active) {
    probe.ids.assign(reasoning.probe().begin(), reasoning.probe().end());
    probe.text.clear();
    probe.n_computed = 0;
    probe.n_decoded = 0;
    probe.sum_logprob = 0;
    probe.active = true;
  }
  const Forward::Clock::time_point start = Forward::Clock::now();
  Status status;
  do {
    status = compute_probe(deadline);
  } while (status.ok() && decode_probe());
  stats.decode_ms += std::chrono::duration<double, std::milli>(Forward::Clock::now() - start).count();
  if (status.code() == Code::pending) return status;
  drop_probe();
  probed.at = stats.thinking_tokens;  // not before: one that is given up half-way is made again
  ++probed.n_probes;
  if (status.ok()) {
    judge_probe();
    return {};
  }
  probed.answer.clear();
  probed.n_agree = 0;
  return survives(status) ? compute(deadline) : status;  // the device failed: the reply goes on without this probe
}

Status Session::State::compute_probe(Forward::Clock::time_point deadline) {
  while (probe.n_computed < probe.ids.size()) {
    if (pass != &*forward) {
      if (ctx.cancelled()) return Status(Code::cancelled, "cancelled");
      pass_rows = std::min(probe.ids.size() - probe.n_computed, params.prefill_chunk);
      const std::size_t last_row = pass_rows - 1;
      const SequenceRows sequence{&kv, 0, pass_rows};
      const bool complete = probe.n_computed + pass_rows == probe.ids.size();
      PONDER_TRY(forward->begin({std::span(probe.ids).subspan(probe.n_computed, pass_rows), {&sequence, 1},
                                 std::span(&last_row, complete ? 1 : 0)}));
      pass = &*forward;
    }
    Status status = forward->advance(deadline);
    if (status.code() == Code::pending) return status;
    pass = nullptr;
    PONDER_TRY(std::move(status));
    probe.n_computed += pass_rows;
    stats.probe_tokens += static_cast<std::int64_t>(pass_rows);
  }
  return {};
}

bool Session::State::decode_probe() {
  const Tokenizer& tokenizer = *model->tokenizer();
  const std::span<const float> row(forward->logits().row(0), logits.size());
  const auto best = static_cast<TokenId>(std::max_element(row.begin(), row.begin() + static_cast<std::ptrdiff_t>(std::min(row.size(), tokenizer.n_ids()))) - row.begin());
  if (std::isnan(row[static_cast<std::size_t>(best)]) || tokenizer.is_added(best)) return false;
  probe.sum_logprob += Sampler::logprob(row, best);
  ++probe.n_decoded;
  probe.text += tokenizer.token_bytes(best);
  const std::string box = std::string(kBox) + probe.text;
  if (end_of_braces(box, kBox.size() - 1) != std::string::npos || probe.n_decoded == generate.reasoning.probe_tokens) return false;
  probe.ids.push_back(best);
  return true;
}

void Session::State::judge_probe() {
  const ReasoningParams& r = generate.reasoning;
  const std::string box = std::string(kBox) + probe.text;
  const bool closed = end_of_braces(box, kBox.size() - 1) != std::string::npos;
  std::string answer = closed ? extract_answer(box, AnswerPlace::boxed).value_or("") : "";
  if (answer.empty() || answer.size() > kMaxAnswerBytes) {
    probed.answer.clear();
    probed.n_agree = 0;
    return;
  }
  const bool agrees = !probed.answer.empty() && answers_equal(answer, probed.answer, {.allow_unevaluated = true});
  probed.n_agree = agrees ? probed.n_agree + 1 : 1;
  probed.answer = std::move(answer);
  const bool settled = r.early_exit == EarlyExit::probe
                           ? probed.n_agree >= r.probe_agree
                           : std::exp(probe.sum_logprob / static_cast<double>(std::max<std::int64_t>(probe.n_decoded, 1))) >= r.confidence;
  if (!settled) return;
  thinking.asked = ThinkEnd::early_exit;
  thinking.asked_at = stats.thinking_tokens;
}

}  // namespace ponder::core
