// Working memory of a forward pass, sized at creation for the widest layer and `max_rows` rows; a pass allocates nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/base/buffer.h"
#include "lib/base/tensor.h"
#include "lib/model/config.h"
#include "lib/model/forward.h"
#include "lib/ops/attend.h"
#include "lib/ops/ops.h"

namespace ponder::core {

struct Scratch {
  // Tokens of one attention task; a decode step has one token and up to kTileHeads heads in a task.
  static constexpr std::size_t kTileTokens = 32;
  static constexpr std::size_t kTileHeads = 4;
  // Fast compute: query rows of one unit, and parts of units that are split along the context (attention_split.h).
  static constexpr std::size_t kLatentUnitRows = 32, kUnitRows = 64;
  static constexpr std::size_t kSlots = 64;
  static constexpr std::size_t kMaxLanes = 64;  // attention tasks at one time, each with its own part of attention_lanes

  Tensor residual, normed, block_out;      // [max_rows, hidden_size]
  Tensor q_lora, q, kv, attn_heads;        // [max_rows, ...]
  Tensor ffn_inner;                        // [max_rows, widest dense or shared FFN]
  Tensor router_scores;                    // [max_rows, n_routed_experts]
  Tensor expert_in, expert_out;            // [slots of a wave, hidden_size], see ffn_moe.cpp
  Tensor expert_inner;                     // [slots of a wave, moe_intermediate_size]
  Tensor topk_weights;                     // [max_rows, num_experts_per_tok]
  std::int32_t* topk_ids = nullptr;        // the same shape
  std::int32_t *slot_order = nullptr, *slot_at = nullptr;  // the same shape
  std::int32_t* expert_first = nullptr;    // [n_routed_experts + 1]
  ops::Product* products = nullptr;        // [n_routed_experts + 1]
  Tensor attention_lanes;                  // [lanes, floats of one task]
  Tensor split_queries;                    // [kSlots / 2 units, rows of one] latent queries
  Tensor split_out;                        // [kSlots, rows of a unit], then their maxima and sums
  float *split_max = nullptr, *split_sum = nullptr;
  std::size_t unit_rows = 0;
  Tensor cos, sin;                         // [max_rows, rope dims / 2]
  Tensor concat;                           // [max_rows, 2 * hidden_size], MTP
  Tensor logits;                           // [max_logits_rows, vocab_size]
  kernels::Int8Unit* int8_units = nullptr;  // the activations of any one parallel region
  std::size_t n_int8_units = 0;
  std::size_t* positions = nullptr;        // [max_rows]
  std::int32_t* sequence_of = nullptr;     // [max_rows]: index into the batch's sequences

  Buffer memory;
  static Result<Scratch> create(const Config& config, const ForwardOptions& options,
                                const std::shared_ptr<Memory>& memory = nullptr);
  static std::size_t bytes(const Config& config, const ForwardOptions& options);

 private:
  std::size_t lay_out(const Config& config, const ForwardOptions& options, std::byte* base);
};

// Sequences with fewer rows in the pass stay absorbed: expanding a block costs as much as what it saves on so many rows.
// (V2-Lite: expanding is 2 * 64 * 512 * 256 operations per head and block; a row saves 2 * 64 * (1088 - 320).)
inline constexpr std::size_t kMinExpandedRows = 192;
bool may_expand(const Config& config, const ForwardOptions& options);

// An attention task's tile inside `floats`, the lane's memory; advances `floats` behind it. Without a `queries` or `out`
// tensor of its own the tile gets one.
ops::AttendTile take_tile(float*& floats, std::size_t n_tokens, std::size_t n_heads, Tensor queries, Tensor out,
                          std::size_t key_dims, std::size_t value_dims);

// Rotation frequencies (YaRN, llama3, linear) and the attention scale they imply.
struct Rope {
  std::vector<double> inverse_frequencies;  // [rope dims / 2]
  double cos_sin_factor = 1;                // mscale / mscale_all_dim of YaRN
  double attention_scale = 1;               // multiplies q . k
  static Rope create(const Config& config);
};

}  // namespace ponder::core
