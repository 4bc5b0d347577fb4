// Several replies to one prompt: votes, and the best by a verifier of the host.
#include <cmath>

#include "capi/session_call.h"
#include "lib/base/format.h"
#include "lib/session/vote.h"

namespace {

using namespace ponder;
using core::Code;
using core::Json;
using core::Session;
using core::Status;

static_assert(static_cast<int>(core::AnswerPlace::boxed) == PONDER_ANSWER_BOXED);
static_assert(static_cast<int>(core::AnswerPlace::boxed_or_last_number) == PONDER_ANSWER_BOXED_OR_NUMBER);
static_assert(static_cast<int>(core::AnswerPlace::answer_tag) == PONDER_ANSWER_TAG);

Status to_core(const ponder_samples_params* params, core::SamplesParams& out) {
  ponder_samples_params p;
  PONDER_TRY(capi::read_params("ponder_samples_params", params, p));
  if ((p.flags & ~(PONDER_SAMPLES_WEIGHTED | PONDER_SAMPLES_ALL)) != 0)
    return core::fail(Code::invalid_argument, "ponder_samples_params.flags: {:#x} has unknown bits", p.flags);
  if (p.n < 0) return core::fail(Code::invalid_argument, "n: {}, want 0 or more", p.n);
  if (p.n_parallel < 0) return core::fail(Code::invalid_argument, "n_parallel: {}, want 0 or more", p.n_parallel);
  if (p.place < PONDER_ANSWER_BOXED || p.place > PONDER_ANSWER_TAG)
    return core::fail(Code::invalid_argument, "place: {}, want 0 (boxed) to 2 (answer tag)", p.place);
  if (p.reserved != 0) return core::fail(Code::invalid_argument, "reserved: {}, want 0", p.reserved);
  if (std::isnan(p.threshold)) return Status(Code::invalid_argument, "threshold: NaN, want a number");
  out = {};
  if (p.n > 0) out.n = static_cast<std::size_t>(p.n);
  out.n_parallel = static_cast<std::size_t>(p.n_parallel);
  out.place = static_cast<core::AnswerPlace>(p.place);
  out.weighted = (p.flags & PONDER_SAMPLES_WEIGHTED) != 0;
  out.all = (p.flags & PONDER_SAMPLES_ALL) != 0;
  out.threshold = p.threshold == 0 ? 1 : p.threshold;
  return {};
}

const char* finish_name(core::FinishReason finish) {
  switch (finish) {
    case core::FinishReason::stop: return "stop";
    case core::FinishReason::length: return "length";
    case core::FinishReason::loop: return "loop";
    default: return "error";
  }
}

const char* think_end_name(core::ThinkEnd end) {
  switch (end) {
    case core::ThinkEnd::model: return "model";
    case core::ThinkEnd::budget: return "budget";
    case core::ThinkEnd::grace_cut: return "grace_cut";
    case core::ThinkEnd::early_exit: return "early_exit";
    case core::ThinkEnd::loop: return "loop";
    case core::ThinkEnd::user: return "user";
    case core::ThinkEnd::none: break;
  }
  return "none";
}

std::string to_json(const core::SamplesResult& result, bool scored) {
  const auto number = [](std::size_t n) { return Json(static_cast<std::int64_t>(n)); };
  Json::Array samples, groups;
  std::vector<std::size_t> n_members(result.group_weights.size(), 0);
  std::vector<std::string> answers(result.group_weights.size());
  for (const core::Sample& s : result.samples) {
    if (s.group >= 0 && n_members[static_cast<std::size_t>(s.group)]++ == 0) answers[static_cast<std::size_t>(s.group)] = *s.extracted;
    Json one;
    one.set("index", number(s.index));
    one.set("thinking", s.thinking);
    one.set("answer", s.answer);
    one.set("extracted", s.extracted ? Json(*s.extracted) : Json());
    if (scored) one.set("score", std::isfinite(s.score) ? Json(s.score) : Json());
    else one.set("group", s.group < 0 ? Json() : Json(s.group));
    one.set("mean_logprob", s.mean_logprob);
    one.set("thinking_tokens", s.stats.thinking_tokens);
    one.set("answer_tokens", s.stats.answer_tokens);
    one.set("finish_reason", finish_name(s.finish));
    one.set("think_end", think_end_name(s.stats.think_end));
    samples.push_back(std::move(one));
  }
  Json out;
  out.set("best", number(result.best));
  out.set("n_started", number(result.n_started));
  if (!scored) {
    for (std::size_t g = 0; g < answers.size(); ++g)
      groups.push_back(Json::Object{{"answer", answers[g]}, {"weight", result.group_weights[g]}, {"n", number(n_members[g])}});
    out.set("groups", std::move(groups));
  }
  out.set("samples", std::move(samples));
  return core::dump_json(out);
}

ponder_sample to_c(const core::Sample& from) {
  const auto text = [](const std::string& s) { return ponder_text{s.data(), s.size()}; };
  ponder_sample sample{};
  sample.index = static_cast<std::int64_t>(from.index);
  sample.thinking = text(from.thinking);
  sample.answer = text(from.answer);
  if (from.extracted) sample.extracted = text(*from.extracted);
  sample.ids = from.ids.data();
  sample.n_ids = from.ids.size();
  sample.mean_logprob = from.mean_logprob;
  sample.finish = static_cast<ponder_finish>(from.finish);
  sample.think_end = static_cast<ponder_think_end>(from.stats.think_end);
  return sample;
}

}  // namespace

ponder_status PONDER_CALL ponder_session_vote(ponder_session* session, const ponder_samples_params* params,
                                              ponder_buffer** out_json, ponder_error* err) noexcept {
  if (out_json) *out_json = nullptr;
  return capi::on_session(session, err, [&](Session& s) -> Status {
    core::SamplesParams p;
    PONDER_TRY(to_core(params, p));
    PONDER_ASSIGN(const core::SamplesResult result, core::vote(s, p));
    if (out_json) *out_json = capi::new_buffer(to_json(result, false));
    return {};
  });
}

ponder_status PONDER_CALL ponder_session_best_of(ponder_session* session, const ponder_samples_params* params,
                                                 ponder_verifier_fn verifier, void* user_data, ponder_buffer** out_json,
                                                 ponder_error* err) noexcept {
  if (out_json) *out_json = nullptr;
  return capi::on_session(session, err, [&](Session& s) -> Status {
    PONDER_TRY(capi::need({{"verifier", reinterpret_cast<const void*>(verifier)}}));
    core::SamplesParams p;
    PONDER_TRY(to_core(params, p));
    core::HostAsked asked("the verifier");
    const core::Verifier verify = [&](const core::Sample& sample, double& score) {
      const ponder_sample c_sample = to_c(sample);
      return asked.go_on([&] { return verifier(user_data, &c_sample, &score); });
    };
    core::Result<core::SamplesResult> result = core::best_of(s, p, verify);
    if (!result.ok()) return asked.status(std::move(result).status());
    if (out_json) *out_json = capi::new_buffer(to_json(*result, true));
    return {};
  });
}
