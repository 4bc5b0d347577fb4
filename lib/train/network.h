// The forward pass that keeps what its gradient needs, and the gradient: all blocks of lib/model in the same order, MLA in
// the naive form of the paper (keys and values of every head are made), whole sequences instead of a cache.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lib/base/status.h"
#include "lib/ops/context.h"
#include "lib/text/tokenizer.h"
#include "lib/train/parameters.h"

namespace ponder::core {

// Sequences packed one after another, without padding, each from position 0, and the tokens whose log-probabilities are wanted.
struct TrainBatch {
  std::vector<TokenId> token_ids;
  std::vector<std::size_t> starts;     // row of each sequence's first token, ascending from 0
  std::vector<std::size_t> pick_rows;  // ascending; the logits of row pick_rows[i] predict picks[i]
  std::vector<TokenId> picks;
  // Experts that were chosen elsewhere, to be used again: per MoE layer [n_rows, num_experts_per_tok]; or empty.
  std::vector<std::vector<std::int32_t>> routing = {};

  void clear();
  // One more sequence; log-probabilities of ids[first_pick] and all after it (first_pick >= 1).
  void add(std::span<const TokenId> ids, std::size_t first_pick);
};

struct NetworkOptions {
  bool recompute = false;  // keep the inputs of layers only and run each again for its gradient: less memory, a third more work
};

// S: float, or double for the tests. One thread at a time; the buffers stay for the next batch.
template <class S>
class Network {
 public:
  // `parameters` gives shapes and places; values and gradients are blocks laid out like parameters.values().
  Network(const Context& ctx, const Parameters& parameters, const NetworkOptions& options = {});
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  // logprobs [picks.size()] = log softmax(logits / temperature)[pick]; entropies the same shape, or empty.
  Status forward(const S* values, const TrainBatch& batch, double temperature, std::span<double> logprobs,
                 std::span<double> entropies = {});
  // After forward(), with the same values and batch: gradients += those of a loss L with dlogprobs[i] = dL / dlogprobs[i].
  void backward(std::span<const double> dlogprobs, S* gradients);

  // After forward(): logits of one row [vocab_size].
  std::vector<S> logits(std::size_t row) const;
  // Tokens that each expert of a layer got in the last forward pass; empty for a dense layer.
  std::vector<std::int64_t> expert_loads(std::size_t layer) const;
  // The choices of the last forward pass, as TrainBatch::routing.
  std::vector<std::vector<std::int32_t>> routing() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ponder::core
