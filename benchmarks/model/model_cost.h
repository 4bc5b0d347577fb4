// What a pass of a model must read and compute at least: the numerators of the shares that benchmarks print.
#pragma once

#include <cstddef>

#include "lib/model/model.h"

namespace ponder::bench {

struct Cost {
  double bytes = 0, macs = 0;
  void add(const core::Weight& w, double times = 1);
  void add(const core::MlpWeights& m, double times = 1);
};

// Weights without the embedding, of which a row per token is read.
struct ModelCost {
  Cost dense;   // read once per pass whatever the tokens: attention, dense layers, routers, shared experts
  Cost expert;  // one routed expert of one layer, the mean over the layers
  Cost head;
  double n_moe_layers = 0, experts_per_token = 0, experts_in_layer = 0;  // the latter two in one layer
  double heads_dims = 0;  // of attention over one key of one layer, macs: the form that prefill uses, q k and p v of the heads
  double latent_dims = 0;  // ... and decode: MLA against the latent, where both halves have kv_lora_rank dimensions
  double n_layers = 0;

  explicit ModelCost(const core::Model& model);

  // Of one token, all layers, without the head.
  double token_macs() const { return dense.macs + n_moe_layers * experts_per_token * expert.macs; }
  // n_experts: distinct ones that the tokens of a pass chose, summed over the layers.
  double pass_bytes(double n_experts) const { return dense.bytes + n_experts * expert.bytes + head.bytes; }
  // n_tokens behind `depth` others, logits of the last.
  double prefill_flops(double n_tokens, double depth) const;
  // Weights for n_passes of so many tokens that every expert is chosen.
  double prefill_bytes(double n_passes) const {
    return n_passes * (dense.bytes + n_moe_layers * experts_in_layer * expert.bytes) + head.bytes;
  }
  // One token each of n sequences behind `depth` others.
  double decode_flops(double n, double depth) const {
    return n * (2 * (token_macs() + head.macs) + decode_attention_flops(depth));
  }
  double decode_attention_flops(double depth) const { return 2 * n_layers * latent_dims * depth; }
};

}  // namespace ponder::bench
