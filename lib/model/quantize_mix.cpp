// The rules are those of llama.cpp's llama-quant.cpp, for the architectures and types that ponder has.
#include "lib/model/quantize_mix.h"

#include <algorithm>
#include <charconv>
#include <string>

#include "lib/base/format.h"

namespace ponder::core {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::int64_t layer_of(std::string_view name) {  // "blk.7.ffn_down.weight"; 0 for tensors of no layer
  constexpr std::string_view kPrefix = "blk.";
  std::int64_t layer = 0;
  if (name.starts_with(kPrefix)) std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), layer);
  return layer;
}

bool contains(std::string_view name, std::string_view part) { return name.find(part) != name.npos; }

// The first and last eighth of the layers, and every third between.
bool wants_more_bits(std::int64_t layer, std::int64_t n) {
  return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
}

// attn_v, and kv_b where it is one tensor.
DType choose_values(const Mix& mix, const Config& c, std::int64_t layer) {
  const std::int64_t n = c.num_hidden_layers;
  const bool grouped = (c.is_mla() ? c.num_attention_heads : c.num_attention_heads / c.num_key_value_heads) >= 4;
  DType type = mix.base;
  switch (mix.base) {
    case DType::q2_k:
      if (grouped) type = DType::q4_k;
      else if (mix.size == Mix::medium) type = DType::q3_k;
      break;
    case DType::q3_k:
      if (mix.size == Mix::medium) type = layer < 2 ? DType::q5_k : DType::q4_k;
      if (mix.size == Mix::large) type = DType::q5_k;
      break;
    case DType::q4_k:
      if (mix.size == Mix::medium && wants_more_bits(layer, n)) type = DType::q6_k;
      if (mix.size == Mix::small && layer < 4) type = DType::q5_k;
      break;
    case DType::q5_k:
      if (mix.size == Mix::medium && wants_more_bits(layer, n)) type = DType::q6_k;
      break;
    case DType::iq4_nl: case DType::iq4_xs:
      if (grouped) type = DType::q5_k;
      break;
    default: break;
  }
  // Small beside their queries in the 70B models: more bits cost next to nothing.
  if (!c.is_mla() && n == 80 && (type == DType::q3_k || type == DType::q4_k)) type = DType::q5_k;
  return c.n_routed_experts == 8 ? DType::q8_0 : type;
}

DType choose_down(const Mix& mix, const Config& c, bool has_importance, std::int64_t layer) {
  const std::int64_t n = c.num_hidden_layers;
  const bool early = layer < n / 8;
  switch (mix.base) {
    case DType::q2_k: return mix.size == Mix::medium ? DType::q3_k : early ? DType::q4_k : mix.base;
    case DType::q3_k:
      if (mix.size == Mix::medium) return layer < n / 16 ? DType::q5_k : DType::q4_k;
      return mix.size == Mix::large ? DType::q5_k : mix.base;
    case DType::q4_k:
      if (mix.size == Mix::medium) return wants_more_bits(layer, n) ? DType::q6_k : mix.base;
      return early ? DType::q5_k : mix.base;
    case DType::q5_k: return mix.size == Mix::medium && wants_more_bits(layer, n) ? DType::q6_k : mix.base;
    case DType::iq4_nl: case DType::iq4_xs: return early && !has_importance ? DType::q5_k : mix.base;
    case DType::q4_0: return early && has_importance ? DType::q4_1 : mix.base;
    case DType::q5_0: return early && has_importance ? DType::q5_1 : mix.base;
    default: return mix.base;
  }
}

DType choose_attention_output(const Mix& mix, const Config& c) {
  if (c.n_routed_experts == 8) {
    const bool low = mix.base == DType::q4_k || mix.base == DType::iq4_nl || mix.base == DType::iq4_xs ||
                     (mix.base == DType::q3_k && mix.size != Mix::large) ||
                     (mix.base == DType::q2_k && mix.size == Mix::medium);
    return low ? DType::q5_k : mix.base;
  }
  if (mix.base == DType::q2_k && mix.size == Mix::medium) return DType::q3_k;
  if (mix.base == DType::q3_k && mix.size == Mix::medium) return DType::q4_k;
  if (mix.base == DType::q3_k && mix.size == Mix::large) return DType::q5_k;
  return mix.base;
}

DType choose(const Mix& mix, const Config& config, bool has_importance, std::string_view name, std::int64_t row) {
  const std::int64_t layer = layer_of(name);
  if (name == "output.weight" || (name == "token_embd.weight" && config.tie_word_embeddings)) {
    if (mix.base == DType::q8_0 || row % static_cast<std::int64_t>(block_elements(mix.base)) != 0) return DType::q8_0;
    return DType::q6_k;
  }
  if (contains(name, "attn_v.weight") || contains(name, "attn_kv_b.weight")) return choose_values(mix, config, layer);
  if (contains(name, "attn_k.weight") && config.n_routed_experts == 8) return DType::q8_0;
  if (contains(name, "ffn_down")) return choose_down(mix, config, has_importance, layer);
  if (contains(name, "attn_output.weight")) return choose_attention_output(mix, config);
  return mix.base;
}

DType smaller_blocks(DType type) {
  switch (type) {
    case DType::q2_k: case DType::q3_k: return DType::q4_0;
    case DType::q4_k: return DType::q5_0;
    case DType::q5_k: return DType::q5_1;
    case DType::q6_k: return DType::q8_0;
    case DType::iq4_xs: return DType::iq4_nl;
    default: return DType::f16;
  }
}

}  // namespace

const std::vector<Mix>& mixes() {
  static const std::vector<Mix> list = {
      {"f32", DType::f32, 0},
      {"f16", DType::f16, 1},
      {"bf16", DType::bf16, 32},
      {"q8_0", DType::q8_0, 7},
      {"q6_k", DType::q6_k, 18},
      {"q5_k_m", DType::q5_k, 17, Mix::medium},
      {"q5_k_s", DType::q5_k, 16, Mix::small},
      {"q5_1", DType::q5_1, 9},
      {"q5_0", DType::q5_0, 8},
      {"q4_k_m", DType::q4_k, 15, Mix::medium},
      {"q4_k_s", DType::q4_k, 14, Mix::small},
      {"q4_1", DType::q4_1, 3},
      {"q4_0", DType::q4_0, 2},
      {"iq4_nl", DType::iq4_nl, 25},
      {"iq4_xs", DType::iq4_xs, 30},
      {"q3_k_l", DType::q3_k, 13, Mix::large},
      {"q3_k_m", DType::q3_k, 12, Mix::medium},
      {"q3_k_s", DType::q3_k, 11, Mix::small},
      {"q2_k", DType::q2_k, 10, Mix::medium},
      {"q2_k_s", DType::q2_k, 21, Mix::small},
  };
  return list;
}

Result<Mix> find_mix(std::string_view name) {
  std::string wanted(name);
  std::ranges::transform(wanted, wanted.begin(), lower);
  if (wanted == "q3_k" || wanted == "q4_k" || wanted == "q5_k") wanted += "_m";
  std::string all;
  for (const Mix& mix : mixes()) {
    if (mix.name == wanted) return mix;
    all += (all.empty() ? "" : ", ") + std::string(mix.name);
  }
  return fail(Code::invalid_argument, "type '{}', want one of {}", name.substr(0, 64), all);
}

ChosenType choose_type(const Mix& mix, const Config& config, bool has_importance, std::string_view name,
                       const Shape& shape) {
  const bool matrix = shape.n_dims() >= 2 && name.ends_with(".weight") && !contains(name, "_norm.weight") &&
                      !contains(name, "ffn_gate_inp.weight");
  if (!matrix) return {DType::f32, false};
  const std::int64_t row = shape[shape.n_dims() - 1];
  if (block_elements(mix.base) == 1) return {mix.base, false};
  const DType wanted = choose(mix, config, has_importance, name, row);
  DType type = wanted;
  while (row % static_cast<std::int64_t>(block_elements(type)) != 0) type = smaller_blocks(type);
  return {type, type != wanted};
}

}  // namespace ponder::core
