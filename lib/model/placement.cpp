#include "lib/model/placement.h"

#include "lib/base/format.h"

namespace ponder::core {

std::uint64_t device_bytes(const Weight& w, bool supported, bool exact) {
  if (w.empty()) return 0;
  const std::uint64_t elements = std::uint64_t{w.n_out} * w.n_in;
  if (!supported) return elements * (exact ? 4 : 2);
  std::uint64_t bytes = std::uint64_t{w.n_out} * ((w.row_stride_bytes() + 15) / 16 * 16);
  if (w.scale_inv) bytes += (w.n_out + 127) / 128 * w.n_scale_cols() * sizeof(float);
  return bytes;
}

Result<Placement> place(const ModelWeights& weights, const std::vector<bool>& supported_types, bool exact,
                        std::uint64_t budget_bytes, std::int64_t max_expert_layers) {
  const auto bytes = [&](const Weight& w) {
    return device_bytes(w, supported_types[static_cast<std::size_t>(w.type)], exact);
  };
  const auto mlp = [&](const MlpWeights& w) { return bytes(w.gate_proj) + bytes(w.up_proj) + bytes(w.down_proj); };
  Placement placement;
  std::uint64_t& total = placement.device_bytes;
  total = bytes(weights.embed_tokens);
  if (weights.lm_head.data != weights.embed_tokens.data) total += bytes(weights.lm_head);
  for (const LayerWeights& layer : weights.layers) {
    const AttentionWeights& a = layer.self_attn;
    for (const Weight* w : {&a.q_proj, &a.q_a_proj, &a.q_b_proj, &a.kv_a_proj_with_mqa, &a.k_proj, &a.v_proj, &a.o_proj})
      total += bytes(*w);
    // Heads of kv_b_proj are never quantised on the device.
    for (const Weight* w : {&a.kv_b_proj, &a.k_b_proj, &a.v_b_proj})
      total += device_bytes(*w, w->type == DType::bf16 || w->type == DType::f16 || w->type == DType::f32, exact);
    total += mlp(layer.mlp) + bytes(layer.moe.gate) + mlp(layer.moe.shared_experts);
  }
  if (total > budget_bytes)
    return fail(Code::out_of_memory, "the weights beside routed experts are {} bytes, the device has room for {}", total, budget_bytes);
  std::int64_t n_expert_layers = 0;
  for (const LayerWeights& layer : weights.layers) {
    std::uint64_t experts = 0;
    for (const MlpWeights& expert : layer.moe.experts) experts += mlp(expert);
    const bool is_moe = !layer.moe.experts.empty();
    const bool fits = !is_moe || (total + experts <= budget_bytes && (max_expert_layers < 0 || n_expert_layers < max_expert_layers));
    if (is_moe && fits) ++n_expert_layers;
    if (fits) total += experts;
    placement.experts_on_device.push_back(fits);
  }
  return placement;
}

}  // namespace ponder::core
