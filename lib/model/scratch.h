// Working memory of a forward pass, sized at creation for the widest layer and `max_rows` rows; a pass allocates nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/base/buffer.h"
#include "lib/base/tensor.h"
#include "lib/model/config.h"
#include "lib/model/forward.h"

namespace ponder::core {

struct Scratch {
  Tensor residual, normed, block_out;      // [max_rows, hidden_size]
  Tensor q_lora, q, kv, attn_heads;        // [max_rows, ...]
  Tensor gate, up;                         // [max_rows, widest FFN]
  Tensor router_scores;                    // [max_rows, n_routed_experts]
  Tensor expert_in, expert_out;            // [max_rows, hidden_size]: the rows of one expert
  Tensor moe_out;                          // [max_rows * num_experts_per_tok, hidden_size]
  Tensor topk_weights;                     // [max_rows, num_experts_per_tok]
  std::int32_t* topk_ids = nullptr;        // the same shape
  Tensor attention_rows;                   // per task: see attention_*.cpp
  std::size_t attention_row_floats = 0;    // floats of one row of `attention_rows`
  Tensor cos, sin;                         // [max_rows, rope dims / 2]
  Tensor concat;                           // [max_rows, 2 * hidden_size], MTP
  Tensor logits;                           // [max_logits_rows, vocab_size]
  std::size_t* positions = nullptr;        // [max_rows]
  std::int32_t* sequence_of = nullptr;     // [max_rows]: index into the batch's sequences

  Buffer memory;
  static Result<Scratch> create(const Config& config, const ForwardOptions& options);
  static std::size_t bytes(const Config& config, const ForwardOptions& options);

 private:
  std::size_t lay_out(const Config& config, const ForwardOptions& options, std::byte* base);
};

// Rotation frequencies (MODEL_SPEC 2.3 and 6 formulas: YaRN, llama3) and the attention scale they imply.
struct Rope {
  std::vector<double> inverse_frequencies;  // [rope dims / 2]
  double cos_sin_factor = 1;                // mscale / mscale_all_dim of YaRN
  double attention_scale = 1;               // multiplies q . k
  static Rope create(const Config& config);
};

}  // namespace ponder::core
