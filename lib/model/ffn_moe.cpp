// Mixture of experts. Tokens are sorted by expert once; then experts run in waves of as many token slots as the scratch
// memory holds, each wave three parallel regions: gate and up, down, sum. A decode step is one wave.
#include <cstring>
#include <string>

#include "lib/model/decoder_layer.h"
#include "lib/ops/ops.h"

namespace ponder::core {

namespace {

// Sorts the slots (token * top_k + choice) by expert, tokens ascending: s.slot_order, s.slot_at (its inverse) and
// s.expert_first [n_experts + 1].
void sort_slots(std::size_t n_slots, std::size_t n_experts, Scratch& s) {
  std::memset(s.expert_first, 0, (n_experts + 1) * sizeof(std::int32_t));
  for (std::size_t slot = 0; slot < n_slots; ++slot) ++s.expert_first[s.topk_ids[slot] + 1];
  for (std::size_t e = 0; e < n_experts; ++e) s.expert_first[e + 1] += s.expert_first[e];
  for (std::size_t slot = 0; slot < n_slots; ++slot) {
    const std::int32_t at = s.expert_first[s.topk_ids[slot]]++;
    s.slot_order[at] = static_cast<std::int32_t>(slot);
    s.slot_at[slot] = at;
  }
  for (std::size_t e = n_experts; e > 0; --e) s.expert_first[e] = s.expert_first[e - 1];  // each had moved to its end
  s.expert_first[0] = 0;
}

}  // namespace

void ffn_moe(const Context& ctx, const Config& config, const MoeWeights& w, std::size_t n_rows, std::size_t layer,
             Scratch& s, ForwardTap* tap) {
  const auto top_k = static_cast<std::size_t>(config.num_experts_per_tok);
  const std::size_t n_experts = w.experts.size(), n_slots = n_rows * top_k;
  const Tensor in = s.normed.rows(0, n_rows), out = s.block_out.rows(0, n_rows);
  const Tensor scores = s.router_scores.rows(0, n_rows);
  Context exact = ctx;  // a rounded activation could tip the choice between two experts
  exact.compute = Compute::exact;
  ops::matmul(exact, scores, in, w.gate);
  ops::for_rows(ctx, n_rows, 8 * n_experts, [&](std::size_t first, std::size_t count) {
    for (std::size_t t = first; t < first + count; ++t)
      route(config, w.e_score_correction_bias, scores.row_span(t), {s.topk_ids + t * top_k, top_k},
            s.topk_weights.row_span(t));
  });
  if (tap) {
    tap->on_i32("moe." + std::to_string(layer) + ".ids", s.topk_ids, n_rows, top_k);
    tap->on_f32("moe." + std::to_string(layer) + ".weights", s.topk_weights.rows(0, n_rows));
  }
  sort_slots(n_slots, n_experts, s);

  const bool shared = !w.shared_experts.gate_proj.empty();
  const Tensor shared_inner = s.ffn_inner.rows(0, n_rows).cols(0, w.shared_experts.gate_proj.n_out);
  if (!shared)
    for (std::size_t t = 0; t < n_rows; ++t) std::memset(out.row(t), 0, out.n_cols * sizeof(float));
  const auto first_of = [&](std::size_t e) { return static_cast<std::size_t>(s.expert_first[e]); };
  for (std::size_t expert = 0; expert < n_experts;) {
    const std::size_t base = first_of(expert);
    std::size_t end = expert + 1;  // one expert always fits: it has at most n_rows slots
    while (end < n_experts && first_of(end + 1) - base <= s.expert_in.n_rows) ++end;
    const std::size_t n_wave = first_of(end) - base;
    if (n_rows > 1)
      ops::for_rows(ctx, n_wave, in.n_cols, [&](std::size_t first, std::size_t count) {
        for (std::size_t i = first; i < first + count; ++i)
          std::memcpy(s.expert_in.row(i), in.row(static_cast<std::size_t>(s.slot_order[base + i]) / top_k),
                      in.n_cols * sizeof(float));
      });

    const bool with_shared = shared && expert == 0;
    std::size_t n_products = 0;
    if (with_shared)
      s.products[n_products++] = {shared_inner, in, &w.shared_experts.gate_proj, &w.shared_experts.up_proj};
    for (std::size_t e = expert; e < end; ++e) {
      const std::size_t first = first_of(e) - base, count = first_of(e + 1) - first_of(e);
      if (count == 0) continue;
      const Tensor x = n_rows == 1 ? in : s.expert_in.rows(first, count);
      s.products[n_products++] = {s.expert_inner.rows(first, count), x, &w.experts[e].gate_proj, &w.experts[e].up_proj};
    }
    ops::matmul_all(ctx, {s.products, n_products});

    n_products = 0;
    if (with_shared) s.products[n_products++] = {out, shared_inner, &w.shared_experts.down_proj};
    for (std::size_t e = expert; e < end; ++e) {
      const std::size_t first = first_of(e) - base, count = first_of(e + 1) - first_of(e);
      if (count == 0) continue;
      s.products[n_products++] = {s.expert_out.rows(first, count), s.expert_inner.rows(first, count),
                                  &w.experts[e].down_proj};
    }
    ops::matmul_all(ctx, {s.products, n_products});

    // Shared experts, unweighted, then each token's experts in ascending id order: the same sum in any batch and wave.
    ops::for_rows(ctx, n_rows, top_k * out.n_cols, [&](std::size_t first, std::size_t count) {
      for (std::size_t slot = first * top_k; slot < (first + count) * top_k; ++slot) {
        const std::size_t at = static_cast<std::size_t>(s.slot_at[slot]) - base;  // wraps for earlier waves
        if (at < n_wave)
          ctx.kernels->scale_add(out.row(slot / top_k), s.expert_out.row(at),
                                 s.topk_weights.row(slot / top_k)[slot % top_k], out.n_cols);
      }
    });
    expert = end;
  }
}

}  // namespace ponder::core
