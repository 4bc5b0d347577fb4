#include "lib/model/scratch.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ponder::core {

namespace {

std::size_t round_up(std::size_t n) { return (n + 15) / 16 * 16; }  // floats: whole cache lines

std::size_t unit_rows_of(const Config& c, const ForwardOptions& options) {
  const std::size_t most = c.is_mla() ? Scratch::kLatentUnitRows : Scratch::kUnitRows;
  // A unit of a grouped model is at least one group of heads.
  const auto heads = static_cast<std::size_t>(c.num_attention_heads);
  const std::size_t group = c.is_mla() ? 1 : heads / static_cast<std::size_t>(c.num_key_value_heads);
  return std::min(std::max(most, group), options.max_rows * heads);
}

// Floats of one attention task: its tile and blocks of keys and values, as f32; in the expanded form of one head.
std::size_t lane_floats(const Config& c, const ForwardOptions& options) {
  const auto size = [](std::int64_t n) { return static_cast<std::size_t>(n); };
  const std::size_t tokens = std::min(Scratch::kTileTokens, options.max_rows);
  const std::size_t rows = std::max({tokens, Scratch::kTileHeads, unit_rows_of(c, options)});
  const std::size_t key_dims = size(c.is_mla() ? c.kv_row_elements() : c.head_dim);
  const std::size_t value_dims = size(c.is_mla() ? c.kv_lora_rank : c.head_dim);
  std::size_t floats = rows * (round_up(key_dims) + round_up(value_dims) + KvCache::kBlockTokens) + 2 * round_up(rows);
  floats += KvCache::kBlockTokens * (round_up(key_dims) + (c.is_mla() ? 0 : round_up(value_dims)));
  if (may_expand(c, options))
    floats = std::max(floats, 2 * KvCache::kBlockTokens * round_up(size(c.qk_head_dim())) +
                                  2 * KvCache::kBlockTokens * round_up(size(c.v_head_dim)) +
                                  KvCache::kBlockTokens * round_up(key_dims) + tokens * KvCache::kBlockTokens +
                                  2 * round_up(options.max_rows));
  return round_up(floats);
}

// Of the activations that meet weights in one region of the pass, the most.
std::size_t int8_units_of_pass(const Config& c, const ForwardOptions& options, std::size_t wave) {
  const auto units = [](std::int64_t n) { return kernels::int8_units(static_cast<std::size_t>(n)); };
  const std::size_t rows = options.max_rows;
  const std::size_t attention = units(c.num_attention_heads * (c.is_mla() ? c.v_head_dim : c.head_dim));
  const std::size_t next = c.num_nextn_predict_layers > 0 ? units(2 * c.hidden_size) : 0;
  std::size_t most = rows * std::max({units(c.hidden_size), units(c.q_lora_rank), attention, units(c.intermediate_size), next});
  if (c.n_routed_experts > 0)
    most = std::max({most, (rows + wave) * units(c.hidden_size),
                     rows * units(c.n_shared_experts * c.moe_intermediate_size) + wave * units(c.moe_intermediate_size)});
  return std::max(most, options.max_logits_rows * units(c.hidden_size));
}

}  // namespace

bool may_expand(const Config& config, const ForwardOptions& options) {
  return config.is_mla() && (options.mla_form == MlaForm::expanded ||
                             (options.mla_form == MlaForm::automatic && options.max_rows >= kMinExpandedRows));
}

ops::AttendTile take_tile(float*& floats, std::size_t n_tokens, std::size_t n_heads, Tensor queries, Tensor out,
                          std::size_t key_dims, std::size_t value_dims) {
  const std::size_t rows = n_tokens * n_heads;
  const auto take = [&](std::size_t n) {
    float* at = floats;
    floats += n;
    return at;
  };
  ops::AttendTile tile;
  tile.n_tokens = n_tokens;
  tile.n_heads = n_heads;
  tile.queries = queries.data ? queries : Tensor(take(rows * round_up(key_dims)), rows, key_dims, round_up(key_dims));
  tile.out = out.data ? out : Tensor(take(rows * round_up(value_dims)), rows, value_dims, round_up(value_dims));
  tile.scores = Tensor(take(rows * KvCache::kBlockTokens), rows, KvCache::kBlockTokens);
  tile.running_max = take(round_up(rows));
  tile.sum = take(round_up(rows));
  return tile;
}

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
  } else {
    tensor(q, rows, heads * size(c.head_dim));
    tensor(kv, rows, size(c.kv_row_elements()));
    tensor(attn_heads, rows, heads * size(c.head_dim));
    rope_dims = size(c.head_dim);
  }
  tensor(attention_lanes, std::min(kMaxLanes, rows * heads), lane_floats(c, options));
  unit_rows = unit_rows_of(c, options);
  if (c.is_mla()) tensor(split_queries, kSlots / 2 * unit_rows, size(c.kv_row_elements()));
  tensor(split_out, kSlots * unit_rows, size(c.is_mla() ? c.kv_lora_rank : c.head_dim));
  split_max = reinterpret_cast<float*>(take(kSlots * unit_rows * sizeof(float)));
  split_sum = reinterpret_cast<float*>(take(kSlots * unit_rows * sizeof(float)));
  tensor(cos, rows, rope_dims / 2);
  tensor(sin, rows, rope_dims / 2);
  tensor(ffn_inner, rows, size(std::max(c.intermediate_size, c.n_shared_experts * c.moe_intermediate_size)));
  std::size_t wave = 0;
  if (c.n_routed_experts > 0) {
    const std::size_t top_k = size(c.num_experts_per_tok), n_experts = size(c.n_routed_experts);
    // A wave holds any one expert's tokens, and all slots of a few tokens at once: a batched decode step is one wave.
    wave = std::max(rows, std::min<std::size_t>(rows, 8) * top_k);
    tensor(router_scores, rows, n_experts);
    tensor(expert_in, wave, hidden);
    tensor(expert_out, wave, hidden);
    tensor(expert_inner, wave, size(c.moe_intermediate_size));
    tensor(topk_weights, rows, top_k);
    const auto ints = [&](std::size_t n) { return reinterpret_cast<std::int32_t*>(take(n * sizeof(std::int32_t))); };
    topk_ids = ints(rows * top_k);
    slot_order = ints(rows * top_k);
    slot_at = ints(rows * top_k);
    expert_first = ints(n_experts + 1);
    std::byte* at = take((n_experts + 1) * sizeof(ops::Product));
    if (at) products = new (at) ops::Product[n_experts + 1];
  }
  if (c.num_nextn_predict_layers > 0) tensor(concat, rows, 2 * hidden);
  tensor(logits, options.max_logits_rows, size(c.vocab_size));
  if (options.int8_rows) {
    n_int8_units = int8_units_of_pass(c, options, wave);
    int8_units = reinterpret_cast<kernels::Int8Unit*>(take(n_int8_units * sizeof(kernels::Int8Unit)));
  }
  positions = reinterpret_cast<std::size_t*>(take(rows * sizeof(std::size_t)));
  sequence_of = reinterpret_cast<std::int32_t*>(take(rows * sizeof(std::int32_t)));
  return used;
}

std::size_t Scratch::bytes(const Config& config, const ForwardOptions& options) {
  Scratch scratch;
  return scratch.lay_out(config, options, nullptr);
}

Result<Scratch> Scratch::create(const Config& config, const ForwardOptions& options,
                                const std::shared_ptr<Memory>& memory) {
  Scratch scratch;
  PONDER_ASSIGN(scratch.memory, Buffer::allocate(scratch.lay_out(config, options, nullptr), memory, MemoryUse::scratch));
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
    } else if (s.type == RopeScalingType::linear) {
      f /= s.factor;
    } else if (s.type == RopeScalingType::llama3) {
      const double wavelength = pi2 / f, original = s.original_max_position_embeddings;
      if (wavelength > original / s.low_freq_factor) {
        f /= s.factor;
      } else if (wavelength >= original / s.high_freq_factor) {
        const double t = (original / wavelength - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
        f = (1 - t) * f / s.factor + t * f;
      }
    }
    if (!s.divisors.empty()) f /= s.divisors[static_cast<std::size_t>(i)];
    rope.inverse_frequencies.push_back(f);
  }
  return rope;
}

}  // namespace ponder::core
