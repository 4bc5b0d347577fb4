// The forward pass: prefill and decode are one function. A batch holds rows of one or several sequences.
#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "lib/base/buffer.h"
#include "lib/base/status.h"
#include "lib/base/tensor.h"
#include "lib/model/kv_cache.h"
#include "lib/model/model.h"
#include "lib/ops/context.h"

namespace ponder::core {

// Rows [first_row, first_row + n_rows) of a batch belong to one sequence and continue its cache.
struct SequenceRows {
  KvCache* kv = nullptr;
  std::size_t first_row = 0;
  std::size_t n_rows = 0;
};

// Sees intermediate tensors of a pass: "hidden.N", "hidden.final_norm" f32 [n_rows, hidden_size]; "moe.N.ids" i32 and
// "moe.N.weights" f32 [n_rows, num_experts_per_tok], experts in ascending id order.
class ForwardTap {
 public:
  virtual ~ForwardTap() = default;
  virtual void on_f32(std::string_view name, const Tensor& tensor) = 0;
  virtual void on_i32(std::string_view name, const std::int32_t* data, std::size_t n_rows, std::size_t n_cols) = 0;
};

struct Batch {
  std::span<const TokenId> token_ids;            // [n_rows], all sequences one after another
  std::span<const SequenceRows> sequences;       // ascending, covering all rows
  std::span<const std::size_t> logits_rows;      // rows whose logits are wanted, ascending; may be empty
  ForwardTap* tap = nullptr;
};

enum class MlaForm { automatic, absorbed, expanded };

struct ForwardOptions {
  std::size_t max_rows = 512;        // rows of one pass (the prefill chunk)
  std::size_t max_logits_rows = 1;   // rows of logits kept
  bool int8_rows = false;            // room for activations as int8: quantised weights in fast compute use it
  MlaForm mla_form = MlaForm::automatic;  // automatic: absorbed in exact compute; fast expands for long chunks
};

// Computes on the CPU or, where the context has one, on a device (lib/model/device_forward.h); caches must lie there too.
// One pass at a time; owns the scratch memory (sized at creation, so that a pass allocates nothing) and can stop between
// two layers and go on later.
class Forward {
 public:
  static Result<Forward> create(const Model& model, const Context& ctx, const ForwardOptions& options);

  // Bytes of scratch that create() would allocate: for memory plans.
  static std::size_t scratch_bytes(const Config& config, const ForwardOptions& options);

  // Low-rank additions of the passes that follow (null: none), to outlive them; makes room for their projections. The caches
  // that a pass continues must have been computed with the same.
  Status set_low_ranks(const ops::LowRanks* low_ranks);

  // Starts a pass: checks token ids against vocab_size (invalid_argument), makes room in every cache (context_full).
  // Nothing is committed to a cache before the pass is complete.
  Status begin(const Batch& batch);
  // Runs layers until done or until `deadline`. OK: complete, caches committed, logits() and hidden() valid;
  // pending: call again; cancelled: the pass is given up and the caches are as before begin().
  using Clock = std::chrono::steady_clock;
  Status advance(Clock::time_point deadline = Clock::time_point::max());
  // begin + advance.
  Status run(const Batch& batch);
  bool active() const;
  float progress() const;  // layers done / all, of the current pass

  // [logits_rows.size(), vocab_size] in the order of batch.logits_rows; valid until the next pass.
  Tensor logits() const;
  // [n_rows, hidden_size] after model.norm of the last pass, all rows.
  Tensor final_hidden() const;
  Tensor final_hidden_prenorm() const;  // before model.norm

  // MTP layer (config num_nextn_predict_layers): row i of `hidden` (final_hidden rows, after model.norm) with token
  // next_ids[i] = t_{i+1}, continuing `kv` (a cache of one layer of its own). out_logits [n, vocab_size].
  // out_hidden (may be empty) [n, hidden_size]: the layer's output before shared_head.norm.
  Status mtp(const Tensor& hidden, std::span<const TokenId> next_ids, KvCache& kv, Tensor out_logits, Tensor out_hidden);

  Forward(Forward&&) noexcept;
  Forward& operator=(Forward&&) noexcept;
  ~Forward();

 private:
  Forward();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ponder::core
