#include "lib/session/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "lib/base/format.h"
#include "lib/base/host_call.h"
#include "lib/session/penalties.h"
#include "lib/session/random.h"

namespace ponder::core {

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

double log_sum_exp(std::span<const float> logits) {
  const float max_logit = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float logit : logits) sum += std::exp(static_cast<double>(logit) - max_logit);
  return max_logit + std::log(sum);
}

Status out_of_range(std::string_view name, double value, std::string_view wanted) {
  return fail(Code::invalid_argument, "{}: {}, want {}", name, value, wanted);
}

}  // namespace

Status SamplingParams::validate(std::size_t vocab_size) const {
  struct Field {
    std::string_view name;
    double value, lowest, highest;
    std::string_view wanted;
  };
  constexpr double kMax = std::numeric_limits<float>::max();
  const Field fields[] = {
      {"temperature", temperature, 0, kMax, "0 (greedy) or more"},
      {"top_k", static_cast<double>(top_k), 0, kMax, "0 (off) or more"},
      {"top_p", top_p, 0, kMax, "0 (off) to 1"},
      {"min_p", min_p, 0, 1, "0 (off) to 1"},
      {"typical_p", typical_p, 0, kMax, "0 (off) to 1"},
      {"top_n_sigma", top_n_sigma, 0, kMax, "0 (off) or more"},
      {"xtc_probability", xtc_probability, 0, 1, "0 (off) to 1"},
      {"xtc_threshold", xtc_threshold, 0, 1, "0 to 1"},
      {"mirostat_tau", mirostat_tau, 0, kMax, "0 or more"},
      {"mirostat_eta", mirostat_eta, 0, kMax, "0 or more"},
      {"repetition_penalty", repetition_penalty, 0, kMax, "more than 0 (1: off)"},
      {"presence_penalty", presence_penalty, -kMax, kMax, "a finite number"},
      {"frequency_penalty", frequency_penalty, -kMax, kMax, "a finite number"},
      {"penalty_last_n", static_cast<double>(penalty_last_n), -1, kMax, "-1 (all) or more"},
      {"dry_multiplier", dry_multiplier, 0, kMax, "0 (off) or more"},
      {"dry_base", dry_base, has_dry() ? 1.0 : 0.0, kMax, "1 or more"},
      {"dry_allowed_length", static_cast<double>(dry_allowed_length), 0, kMax, "0 or more"},
      {"dry_last_n", static_cast<double>(dry_last_n), -1, kMax, "-1 (all) or more"}};
  for (const Field& f : fields)
    if (!(f.value >= f.lowest && f.value <= f.highest)) return out_of_range(f.name, f.value, f.wanted);  // NaN too
  if (mirostat != 0 && mirostat != 2) return out_of_range("mirostat", mirostat, "0 (off) or 2");
  for (const auto& [id, bias] : logit_bias) {
    if (id < 0 || static_cast<std::size_t>(id) >= vocab_size)
      return fail(Code::invalid_argument, "logit_bias: id {} is outside the vocabulary of {} ids", id, vocab_size);
    if (std::isnan(bias) || bias == kInf)
      return fail(Code::invalid_argument, "logit_bias: {} for id {}, want a number or -inf", bias, id);
  }
  return {};
}

Result<Sampler> Sampler::create(const SamplingParams& params, std::size_t vocab_size, std::size_t n_ids,
                                const Tokenizer* tokenizer) {
  if (n_ids == 0 || n_ids > vocab_size)
    return fail(Code::invalid_argument, "{} token ids in a vocabulary of {}", n_ids, vocab_size);
  Sampler sampler;
  sampler.vocab_size_ = vocab_size;
  sampler.n_ids_ = n_ids;
  sampler.tokenizer_ = tokenizer;
  sampler.logits_.resize(vocab_size);
  sampler.candidates_.reserve(n_ids);
  for (std::size_t id = 0; tokenizer && id < n_ids; ++id)
    if (!tokenizer->has_token(static_cast<TokenId>(id))) sampler.holes_.push_back(static_cast<TokenId>(id));
  PONDER_TRY(sampler.set_params(params));
  sampler.reseed(params.seed);
  return sampler;
}

Status Sampler::set_params(const SamplingParams& params) {
  PONDER_TRY(params.validate(vocab_size_));
  SamplingParams copy = params;
  if ((copy.penalises() || copy.has_dry()) && counts_.empty()) counts_.resize(vocab_size_);
  if (copy.has_dry() && tokenizer_ && is_breaker_.empty()) is_breaker_ = dry_breakers(*tokenizer_, vocab_size_);
  if (copy.seed != params_.seed) seed_random(state_.rng, copy.seed);
  if (copy.mirostat != params_.mirostat || copy.mirostat_tau != params_.mirostat_tau)
    state_.mirostat_mu = 2 * copy.mirostat_tau;
  params_ = std::move(copy);
  return {};
}

void Sampler::reseed(std::uint64_t seed) {
  seed_random(state_.rng, seed);
  state_.mirostat_mu = 2 * params_.mirostat_tau;  // the authors' start
}

Result<TokenId> Sampler::pick(std::span<const float> logits, std::span<const TokenId> history, TokenId banned,
                              std::span<const TokenId> unwanted) {
  std::copy(logits.begin(), logits.end(), logits_.begin());
  PONDER_TRY(check("logits"));
  for (const auto& [id, bias] : params_.logit_bias) logits_[static_cast<std::size_t>(id)] += bias;
  if (params_.penalises())
    apply_penalties(logits_, last_tokens(history, params_.penalty_last_n), params_, counts_);
  if (params_.has_dry()) apply_dry(logits_, last_tokens(history, params_.dry_last_n), params_, is_breaker_, counts_);
  mask(banned);
  avoid(unwanted);
  if (const UserSampler& user = params_.user_sampler; user.fn) {
    TokenId id = -1;
    HostAsked asked("the user's sampler");
    if (!asked.go_on([&] { return user.fn(user.user_data, logits_.data(), vocab_size_, &id); }))
      return asked.status(Status(Code::cancelled, "the user's sampler asked to stop"));
    const bool can_be =
        id >= 0 && static_cast<std::size_t>(id) < n_ids_ && id != banned && allows(id) && !std::binary_search(holes_.begin(), holes_.end(), id);
    if (can_be) return id;
    if (id != -1)
      return fail(Code::invalid_argument, "the user's sampler chose id {}, want one of 0 to {} that is a token and not banned",
                  id, n_ids_ - 1);
    mask(banned);
    avoid(unwanted);
  }
  PONDER_TRY(check("logits after bias, penalties and the user's sampler"));

  if (params_.temperature == 0) return greedy();
  candidates_.clear();
  for (std::size_t id = 0; id < n_ids_; ++id)
    if (logits_[id] != -kInf) candidates_.push_back({static_cast<TokenId>(id), logits_[id]});
  if (params_.mirostat == 2) return mirostat();
  const SamplingParams& p = params_;
  if (p.top_n_sigma > 0) keep_top_n_sigma(candidates_, p.top_n_sigma);
  if (p.top_k > 0) keep_top_k(candidates_, static_cast<std::size_t>(p.top_k));
  if (p.typical_p > 0 && p.typical_p < 1) keep_typical(candidates_, p.typical_p);
  if (p.top_p > 0 && p.top_p < 1) keep_top_p(candidates_, p.top_p);
  if (p.min_p > 0) keep_min_p(candidates_, p.min_p);
  if (p.xtc_probability > 0 && p.xtc_threshold <= 0.5f && next_uniform(state_.rng) < p.xtc_probability)
    exclude_top_choices(candidates_, p.xtc_threshold);
  return draw();
}

void Sampler::mask(TokenId banned) {
  std::fill(logits_.begin() + static_cast<std::ptrdiff_t>(n_ids_), logits_.end(), -kInf);
  for (TokenId id : holes_) logits_[static_cast<std::size_t>(id)] = -kInf;
  if (allowed_) {
    end_logits_.clear();
    for (TokenId id : allowed_ends_) end_logits_.push_back(logits_[static_cast<std::size_t>(id)]);
    allowed_->apply(logits_);
    for (std::size_t i = 0; i < allowed_ends_.size(); ++i) logits_[static_cast<std::size_t>(allowed_ends_[i])] = end_logits_[i];
  }
  if (banned >= 0) logits_[static_cast<std::size_t>(banned)] = -kInf;
}

void Sampler::avoid(std::span<const TokenId> unwanted) {
  if (unwanted.empty()) return;
  avoided_.clear();
  for (TokenId id : unwanted) avoided_.push_back(std::exchange(logits_[static_cast<std::size_t>(id)], -kInf));
  if (std::any_of(logits_.begin(), logits_.end(), [](float logit) { return logit != -kInf; })) return;
  for (std::size_t i = unwanted.size(); i-- > 0;) logits_[static_cast<std::size_t>(unwanted[i])] = avoided_[i];
}

Status Sampler::check(std::string_view what) const {
  bool any = false;
  for (std::size_t id = 0; id < vocab_size_; ++id) {
    if (std::isnan(logits_[id]) || logits_[id] == kInf)
      return fail(Code::numeric, "{}: {} at id {}, want a finite number", what, logits_[id], id);
    any |= id < n_ids_ && logits_[id] != -kInf;
  }
  if (!any) return fail(Code::numeric, "{}: all of id 0 to {} are -inf, nothing is left to pick", what, n_ids_ - 1);
  return {};
}

TokenId Sampler::greedy() const {
  return static_cast<TokenId>(std::max_element(logits_.begin(), logits_.begin() + static_cast<std::ptrdiff_t>(n_ids_)) -
                              logits_.begin());
}

TokenId Sampler::mirostat() {
  keep_unsurprising(candidates_, state_.mirostat_mu, params_.temperature);
  const TokenId id = draw();
  const Partition all = partition(candidates_, params_.temperature);
  const double log_probability =
      (logits_[static_cast<std::size_t>(id)] - all.max_logit) / params_.temperature - std::log(all.sum);
  const double surprise = -log_probability / std::log(2.0);
  state_.mirostat_mu -= params_.mirostat_eta * static_cast<float>(surprise - params_.mirostat_tau);
  return id;
}

TokenId Sampler::draw() {
  // By id, whatever order the samplers above have left: the walk below is then the same for every standard library.
  const auto by_id = [](const Candidate& a, const Candidate& b) { return a.id < b.id; };
  if (!std::is_sorted(candidates_.begin(), candidates_.end(), by_id))
    std::sort(candidates_.begin(), candidates_.end(), by_id);
  const Partition all = partition(candidates_, params_.temperature);
  const double target = next_uniform(state_.rng) * all.sum;
  double sum = 0;
  TokenId last = -1;
  for (const Candidate& c : candidates_) {
    const double weight = std::exp((c.logit - all.max_logit) / params_.temperature);
    if (weight == 0) continue;
    sum += weight;
    last = c.id;
    if (sum > target) break;
  }
  return last;
}

float Sampler::logprob(std::span<const float> logits, TokenId id) {
  return static_cast<float>(logits[static_cast<std::size_t>(id)] - log_sum_exp(logits));
}

void Sampler::top_logprobs(std::span<const float> logits, std::size_t n, std::vector<TokenLogprob>& out) {
  n = std::min(n, logits.size());
  out.clear();
  if (n == 0) return;
  out.reserve(n + 1);
  const auto better = [](const TokenLogprob& a, const TokenLogprob& b) { return a.logprob > b.logprob; };
  for (std::size_t id = 0; id < logits.size(); ++id) {
    const TokenLogprob item{static_cast<TokenId>(id), logits[id]};
    if (out.size() == n && !better(item, out.back())) continue;
    out.insert(std::upper_bound(out.begin(), out.end(), item, better), item);
    if (out.size() > n) out.pop_back();
  }
  const double norm = log_sum_exp(logits);
  for (TokenLogprob& item : out) item.logprob = static_cast<float>(item.logprob - norm);
}

}  // namespace ponder::core
