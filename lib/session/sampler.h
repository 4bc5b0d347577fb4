// Picks the next token from logits. One Sampler per sequence; allocates at creation only.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/text/tokenizer.h"

namespace ponder::core {

// The host's own sampler. Sees the logits [vocab_size] after logit bias and penalties, may change them in place, and may
// choose by setting *out_id (left at -1: the built-in samplers go on with what the logits are now). Not 0: stop, the call
// returns `cancelled`. Runs on the calling thread; must not throw.
struct UserSampler {
  int (*fn)(void* user_data, float* logits, std::size_t vocab_size, TokenId* out_id) = nullptr;
  void* user_data = nullptr;
};

// Zero means off (or the neutral value) for every field unless said otherwise.
struct SamplingParams {
  float temperature = 0;        // 0: greedy
  std::int32_t top_k = 0;
  float top_p = 0;              // 0 or >= 1: off
  float min_p = 0;
  float typical_p = 0;          // 0 or >= 1: off
  float top_n_sigma = 0;
  float xtc_probability = 0;
  float xtc_threshold = 0.1f;
  std::int32_t mirostat = 0;    // 0 or 2
  float mirostat_tau = 5.0f;
  float mirostat_eta = 0.1f;
  float repetition_penalty = 1.0f;  // 1: off
  float presence_penalty = 0;
  float frequency_penalty = 0;
  std::int32_t penalty_last_n = 64;  // tokens looked back at; -1: all
  float dry_multiplier = 0;     // 0: off
  float dry_base = 1.75f;
  std::int32_t dry_allowed_length = 2;
  std::int32_t dry_last_n = -1;
  std::vector<std::pair<TokenId, float>> logit_bias;
  std::uint64_t seed = 0;
  UserSampler user_sampler;

  Status validate(std::size_t vocab_size) const;
};

struct TokenLogprob {
  TokenId id;
  float logprob;
};

class Sampler {
 public:
  // n_ids: ids from here on are padding of the vocabulary and never picked (tokenizer's n_ids, or vocab_size).
  static Result<Sampler> create(const SamplingParams& params, std::size_t vocab_size, std::size_t n_ids);

  // `logits` [vocab_size] is not changed. history: all tokens of the sequence so far (for penalties).
  // numeric when no finite logit is left or one is NaN: the message says at which id.
  Result<TokenId> pick(std::span<const float> logits, std::span<const TokenId> history);

  // Log-probabilities of the last pick's logits before temperature and penalties: the picked id's, and the best `n`.
  static float logprob(std::span<const float> logits, TokenId id);
  static void top_logprobs(std::span<const float> logits, std::size_t n, std::vector<TokenLogprob>& out);

  const SamplingParams& params() const { return params_; }
  Status set_params(const SamplingParams& params);  // keeps the random state unless the seed changes
  // Random and mirostat state, for save and restore.
  struct State {
    std::uint64_t rng[2] = {0, 0};
    float mirostat_mu = 0;
  };
  State state() const { return state_; }
  void set_state(const State& state) { state_ = state; }
  void reseed(std::uint64_t seed);

 private:
  SamplingParams params_;
  std::size_t vocab_size_ = 0;
  std::size_t n_ids_ = 0;
  State state_;
  std::vector<float> logits_;
  std::vector<TokenLogprob> candidates_;
  std::vector<TokenLogprob> scratch_;
};

}  // namespace ponder::core
