// Picks the next token from logits. One Sampler per sequence; allocates at creation and in set_params only.
//
// The chain, in this order (as the programs around llama.cpp have it), each link only where its parameter turns it on:
//   1. logit bias
//   2. repetition, then frequency and presence penalties
//   3. DRY
//   4. the user's sampler; ids that are padding or banned are -inf from here on
//   5. temperature 0: the largest logit, the lowest id among equals. No link below can change that one, and none runs.
//   6. mirostat 2: temperature, then mirostat, in place of all that follows
//   7. top-n-sigma, top-k, typical, top-p, min-p, XTC, each on what the one before has left, at temperature 1
//   8. temperature, and one draw
// The formulas and their sources stand in penalties.h and truncation.h.
//
// The same seed, logits and history give the same token: sums run in a fixed order, ties go to the lower id, and the
// generator (random.h) is our own.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/grammar/grammar.h"
#include "lib/session/truncation.h"
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
  float xtc_threshold = 0.1f;   // above 0.5: off
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
  std::vector<std::pair<TokenId, float>> logit_bias;  // added; -inf bans the token
  std::uint64_t seed = 0;
  UserSampler user_sampler;

  bool penalises() const {
    return penalty_last_n != 0 && ((repetition_penalty != 0 && repetition_penalty != 1) || presence_penalty != 0 ||
                                   frequency_penalty != 0);
  }
  bool has_dry() const { return dry_multiplier > 0 && dry_last_n != 0; }
  Status validate(std::size_t vocab_size) const;
};

struct TokenLogprob {
  TokenId id;
  float logprob;
};

class Sampler {
 public:
  // n_ids: ids from here on are padding of the vocabulary and never picked (tokenizer's n_ids, or vocab_size).
  // tokenizer: knows further ids without a token, which are padding too, and DRY's sequence breakers; may be null (none).
  // Used by set_params, so it must outlive the sampler.
  static Result<Sampler> create(const SamplingParams& params, std::size_t vocab_size, std::size_t n_ids,
                                const Tokenizer* tokenizer = nullptr);

  // `logits` [vocab_size] is not changed. history: all tokens of the sequence so far (for penalties). banned: an id that
  // must not be picked this time, or -1. unwanted: further ids that are picked only when nothing else is left, or by the
  // user's sampler.
  // numeric when no finite logit is left or one is NaN or +inf: the message says at which id.
  Result<TokenId> pick(std::span<const float> logits, std::span<const TokenId> history, TokenId banned = -1,
                       std::span<const TokenId> unwanted = {});

  void reserve_unwanted(std::size_t n) { avoided_.reserve(n); }  // pick() with at most so many allocates nothing

  // Of the following picks: only what the mask allows and `ends`, both of which must live as long; null: everything.
  void set_allowed(const TokenMask* mask, std::span<const TokenId> ends) {
    allowed_ = mask;
    allowed_ends_ = ends;
  }

  // Log-probabilities of the last pick's logits before temperature and penalties: the picked id's, and the best `n`,
  // best first, equal ones by id.
  static float logprob(std::span<const float> logits, TokenId id);
  static void top_logprobs(std::span<const float> logits, std::size_t n, std::vector<TokenLogprob>& out);

  // What it allocates for an id of the vocabulary at most.
  static constexpr std::size_t kBytesPerId = 2 * sizeof(float) + sizeof(Candidate) + sizeof(std::int32_t) + sizeof(std::uint8_t);

  const SamplingParams& params() const { return params_; }
  // Keeps the random state unless the seed changes, and mirostat's unless it is turned on or its tau changes.
  Status set_params(const SamplingParams& params);
  // Random and mirostat state, for save and restore.
  struct State {
    std::uint64_t rng[2] = {0, 0};
    float mirostat_mu = 0;
  };
  State state() const { return state_; }
  void set_state(const State& state) { state_ = state; }
  void reseed(std::uint64_t seed);  // as at creation, mirostat's state too

 private:
  Status check(std::string_view what) const;
  void mask(TokenId banned);
  void avoid(std::span<const TokenId> unwanted);
  bool allows(TokenId id) const {
    return !allowed_ || allowed_->allows(id) || std::find(allowed_ends_.begin(), allowed_ends_.end(), id) != allowed_ends_.end();
  }
  TokenId greedy() const;
  TokenId mirostat();
  // One of the candidates with its probability at `temperature`.
  TokenId draw();

  SamplingParams params_;
  std::size_t vocab_size_ = 0;
  std::size_t n_ids_ = 0;
  const Tokenizer* tokenizer_ = nullptr;
  State state_;
  std::vector<TokenId> holes_;            // padding below n_ids
  std::vector<float> logits_;             // [vocab_size]
  std::vector<float> avoided_;            // logits of what is unwanted
  const TokenMask* allowed_ = nullptr;
  std::span<const TokenId> allowed_ends_;
  std::vector<float> end_logits_;
  Candidates candidates_;                 // reserved: n_ids
  std::vector<std::int32_t> counts_;      // [vocab_size], zero between picks; empty without penalties and DRY
  std::vector<std::uint8_t> is_breaker_;  // [vocab_size]; empty without DRY
};

}  // namespace ponder::core
