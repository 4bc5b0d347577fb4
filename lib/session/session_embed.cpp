// Vectors of whole texts: the final norm's output, pooled over the tokens of each. Several inputs share a forward pass.
#include <algorithm>
#include <cmath>
#include <deque>

#include "lib/base/format.h"
#include "lib/session/session_state.h"

namespace ponder::core {

namespace {

// Of one pass: each has a cache of at least a block of tokens.
constexpr std::size_t kMaxInputsPerPass = 16;

// The pooled vector of one input, chunk after chunk; sums in f64.
class Pool {
 public:
  Pool(Pooling pooling, std::size_t width) : pooling_(pooling), sum_(width, 0.0) {}
  void add(const Tensor& hidden) {
    if (pooling_ == Pooling::last) {
      const auto last = hidden.row_span(hidden.n_rows - 1);
      sum_.assign(last.begin(), last.end());
      n_rows_ = 1;
      return;
    }
    for (std::size_t t = 0; t < hidden.n_rows; ++t)
      for (std::size_t i = 0; i < sum_.size(); ++i) sum_[i] += double{hidden.row(t)[i]};
    n_rows_ += hidden.n_rows;
  }
  // Writes the vector and starts anew; numeric when it is not finite.
  Status finish(bool normalize, std::span<float> out) {
    double square = 0;
    for (double& v : sum_) {
      v /= static_cast<double>(n_rows_);
      square += v * v;
    }
    if (!std::isfinite(square)) return Status(Code::numeric, "the hidden states are not finite");
    const double scale = normalize && square > 0 ? 1 / std::sqrt(square) : 1;
    for (std::size_t i = 0; i < sum_.size(); ++i) out[i] = static_cast<float>(sum_[i] * scale);
    sum_.assign(sum_.size(), 0.0);
    n_rows_ = 0;
    return {};
  }

 private:
  Pooling pooling_;
  std::vector<double> sum_;
  std::size_t n_rows_ = 0;
};

}  // namespace

Result<std::vector<float>> Session::embed(std::span<const std::span<const TokenId>> inputs, const EmbedOptions& options) {
  State& st = *state_;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].empty()) return fail(Code::invalid_argument, "input {} has no tokens", i);
    PONDER_TRY(st.check_ids(inputs[i]).with_prefix(formatted("input {}", i)));
    if (inputs[i].size() > st.params.context_length)
      return fail(Code::context_full, "input {} has {} tokens, context_length is {}", i, inputs[i].size(),
                  st.params.context_length);
  }
  st.pass = nullptr;  // the pass below takes the scratch memory of one that a step() has left unfinished

  const auto width = static_cast<std::size_t>(st.model->config().hidden_size);
  const std::size_t max_rows = std::max(st.params.prefill_chunk, kMaxLogitsRows);
  MemoryCharge charge(st.ctx.memory, MemoryUse::other);
  PONDER_TRY(charge.raise_to(inputs.size() * width * sizeof(float)).with_prefix("embeddings"));
  std::vector<float> out(inputs.size() * width);
  Pool pool(options.pooling, width);
  std::vector<TokenId> ids;
  std::vector<SequenceRows> sequences;
  std::deque<KvCache> caches;  // of the inputs in the pass; the last may stay for the next one
  std::size_t input = 0;       // the first that is not finished, and how many of its tokens are computed
  for (std::size_t done = 0; input < inputs.size();) {
    ids.clear();
    sequences.clear();
    for (std::size_t i = input; i < inputs.size() && ids.size() < max_rows && sequences.size() < kMaxInputsPerPass; ++i) {
      const std::size_t first = i == input ? done : 0;
      if (first == 0) {
        PONDER_ASSIGN(KvCache cache, KvCache::create(st.kv.layout(), inputs[i].size(), st.ctx.memory));
        caches.push_back(std::move(cache));
      }
      const auto part = inputs[i].subspan(first, std::min(inputs[i].size() - first, max_rows - ids.size()));
      sequences.push_back({&caches[i - input], ids.size(), part.size()});
      ids.insert(ids.end(), part.begin(), part.end());
    }
    PONDER_TRY(st.forward->run({ids, sequences, {}}));
    const Tensor hidden = st.forward->final_hidden();
    for (const SequenceRows& sequence : sequences) {
      pool.add(hidden.rows(sequence.first_row, sequence.n_rows));
      done = caches.front().n_tokens();
      if (done < inputs[input].size()) break;
      PONDER_TRY(pool.finish(options.normalize, std::span(out).subspan(input * width, width))
                     .with_prefix(formatted("input {}", input)));
      caches.pop_front();
      ++input;
      done = 0;
    }
  }
  return out;
}

}  // namespace ponder::core
