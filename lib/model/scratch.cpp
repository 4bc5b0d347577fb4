#include "lib/model/scratch.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ponder::core {

std::size_t Scratch::lay_out(const Config& c, const ForwardOptions& options, std::byte* base) {
  std::size_t used = 0;
  const auto take = [&](std::size_t n_bytes) {
    std::byte* at = base ? base + used : nullptr;
    used += (n_bytes + Buffer::kAlignment - 1) / Buffer::kAlignment * Buffer::kAlignment;
    return at;
  };
  const auto tensor = [&](Tensor& t, std::size_t rows, std::size_t cols) {
    t = Tensor(reinterpret_cast<float*>(take(rows * cols * sizeof(float))), rows, cols);
  };
  const auto size = [](std::int64_t n) { return static_cast<std::size_t>(n); };
  const std::size_t rows = options.max_rows, hidden = size(c.hidden_size), heads = size(c.num_attention_heads);
  tensor(residual, rows, hidden);
  tensor(normed, rows, hidden);
  tensor(block_out, rows, hidden);
  std::size_t rope_dims = 0;
  if (c.is_mla()) {
    tensor(q_lora, rows, size(c.q_lora_rank));
    tensor(q, rows, heads * size(c.qk_head_dim()));
    tensor(kv, rows, size(c.kv_row_elements()));
    tensor(attn_heads, rows, heads * size(c.v_head_dim));
    rope_dims = size(c.qk_rope_head_dim);
    // [q latent | q rope], scores of one block, latent output
    attention_row_floats = size(c.kv_row_elements()) + KvCache::kBlockTokens + size(c.kv_lora_rank);
  } else {
    tensor(q, rows, heads * size(c.head_dim));
    tensor(kv, rows, size(c.kv_row_elements()));
    tensor(attn_heads, rows, heads * size(c.head_dim));
    rope_dims = size(c.head_dim);
    attention_row_floats = KvCache::kBlockTokens;
  }
  attention_row_floats = (attention_row_floats + 15) / 16 * 16;
  tensor(attention_rows, rows * heads, attention_row_floats);
  tensor(cos, rows, rope_dims / 2);
  tensor(sin, rows, rope_dims / 2);
  const std::size_t ffn = size(std::max({c.intermediate_size, c.moe_intermediate_size,
                                         c.n_shared_experts * c.moe_intermediate_size}));
  tensor(gate, rows, ffn);
  tensor(up, rows, ffn);
  if (c.n_routed_experts > 0) {
    const std::size_t top_k = size(c.num_experts_per_tok);
    tensor(router_scores, rows, size(c.n_routed_experts));
    tensor(expert_in, rows, hidden);
    tensor(expert_out, rows, hidden);
    tensor(moe_out, rows * top_k, hidden);
    tensor(topk_weights, rows, top_k);
    topk_ids = reinterpret_cast<std::int32_t*>(take(rows * top_k * sizeof(std::int32_t)));
  }
  if (c.num_nextn_predict_layers > 0) tensor(concat, rows, 2 * hidden);
  tensor(logits, options.max_logits_rows, size(c.vocab_size));
  positions = reinterpret_cast<std::size_t*>(take(rows * sizeof(std::size_t)));
  sequence_of = reinterpret_cast<std::int32_t*>(take(rows * sizeof(std::int32_t)));
  return used;
}

std::size_t Scratch::bytes(const Config& config, const ForwardOptions& options) {
  Scratch scratch;
  return scratch.lay_out(config, options, nullptr);
}

Result<Scratch> Scratch::create(const Config& config, const ForwardOptions& options) {
  Scratch scratch;
  PONDER_ASSIGN(scratch.memory, Buffer::allocate(scratch.lay_out(config, options, nullptr)));
  scratch.lay_out(config, options, scratch.memory.data());
  return scratch;
}

Rope Rope::create(const Config& c) {
  Rope rope;
  const std::int64_t n = c.is_mla() ? c.qk_rope_head_dim : c.head_dim;
  const std::int64_t qk_dim = c.is_mla() ? c.qk_head_dim() : c.head_dim;
  rope.attention_scale = 1.0 / std::sqrt(static_cast<double>(qk_dim));
  const RopeScaling& s = c.rope_scaling;
  const double pi2 = 2 * std::numbers::pi;
  double low = 0, high = 0;
  if (s.type == RopeScalingType::yarn) {  // YaRN paper (arXiv 2309.00071) section 3, DeepSeek's constants
    const auto correction = [&](double rotations) {
      return static_cast<double>(n) * std::log(s.original_max_position_embeddings / (rotations * pi2)) /
             (2 * std::log(c.rope_theta));
    };
    low = std::max(std::floor(correction(s.beta_fast)), 0.0);
    high = std::min(std::ceil(correction(s.beta_slow)), static_cast<double>(n - 1));
    if (low == high) high += 0.001;
    const auto m = [&](double mscale) { return s.factor <= 1 ? 1.0 : 0.1 * mscale * std::log(s.factor) + 1.0; };
    rope.cos_sin_factor = m(s.mscale) / m(s.mscale_all_dim);
    if (s.mscale_all_dim != 0) rope.attention_scale *= m(s.mscale_all_dim) * m(s.mscale_all_dim);
  }
  for (std::int64_t i = 0; i < n / 2; ++i) {
    double f = std::pow(c.rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(n));
    if (s.type == RopeScalingType::yarn) {
      const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
      f = f / s.factor * ramp + f * (1 - ramp);
    } else if (s.type == RopeScalingType::llama3) {
      const double wavelength = pi2 / f, original = s.original_max_position_embeddings;
      if (wavelength > original / s.low_freq_factor) {
        f /= s.factor;
      } else if (wavelength >= original / s.high_freq_factor) {
        const double t = (original / wavelength - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
        f = (1 - t) * f / s.factor + t * f;
      }
    }
    rope.inverse_frequencies.push_back(f);
  }
  return rope;
}

}  // namespace ponder::core
