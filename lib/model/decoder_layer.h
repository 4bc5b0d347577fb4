// The blocks of one transformer layer. `rows` are the batch's tokens; each row knows its position and its sequence.
#pragma once

#include <cstdint>
#include <span>

#include "lib/model/config.h"
#include "lib/model/forward.h"
#include "lib/model/scratch.h"
#include "lib/model/weights.h"
#include "lib/ops/context.h"

namespace ponder::core {

struct Rows {
  std::size_t n_rows = 0;
  std::span<const SequenceRows> sequences;
  MlaForm mla_form = MlaForm::automatic;
};

// One transformer layer. `x` is the residual stream [n_rows, hidden_size], updated in place. kv_layer: index in the caches.
void decoder_layer(const Context& ctx, const Config& config, const Rope& rope, const LayerWeights& w, const Rows& rows,
                   std::size_t layer, std::size_t kv_layer, Scratch& s, ForwardTap* tap);

// block_out = attention(normed)
void attention_mla(const Context& ctx, const Config& config, const Rope& rope, const AttentionWeights& w,
                   const Rows& rows, std::size_t kv_layer, Scratch& s);
void attention_gqa(const Context& ctx, const Config& config, const Rope& rope, const AttentionWeights& w,
                   const Rows& rows, std::size_t kv_layer, Scratch& s);
// block_out = FFN(normed)
void ffn_dense(const Context& ctx, const MlpWeights& w, const Tensor& out, const Tensor& in, Scratch& s);
void ffn_moe(const Context& ctx, const Config& config, const MoeWeights& w, std::size_t n_rows, std::size_t layer,
             Scratch& s, ForwardTap* tap);

// Experts of one token from its router logits (overwritten): `ids` ascending, `weights` final (normalised, scaled).
// NaN scores are never chosen before finite ones; ids are always distinct and in range.
void route(const Config& config, const float* e_score_correction_bias, std::span<float> logits,
           std::span<std::int32_t> ids, std::span<float> weights);

}  // namespace ponder::core
