// config.json of the supported families, names verbatim. Validated as a whole: every problem is reported by key.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "lib/io/json.h"

namespace ponder::core {

enum class Architecture { deepseek_v2, deepseek_v3, qwen2, llama };
enum class TopkMethod { greedy, group_limited_greedy, noaux_tc };
enum class ScoringFunc { softmax, sigmoid };
enum class RopeScalingType { none, yarn, llama3, linear };

struct RopeScaling {
  RopeScalingType type = RopeScalingType::none;
  double factor = 1;
  double original_max_position_embeddings = 0;
  double beta_fast = 32, beta_slow = 1;          // yarn
  double mscale = 1, mscale_all_dim = 0;         // yarn
  double low_freq_factor = 1, high_freq_factor = 4;  // llama3
  std::vector<double> divisors;  // of the frequencies, [rope dims / 2]; empty: none. GGUF's rope_freqs.weight
};

struct Config {
  Architecture architecture = Architecture::deepseek_v3;
  std::string architecture_name;  // config "architectures"[0], or by "model_type"
  std::string model_type;
  std::string torch_dtype;

  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t num_hidden_layers = 0;
  std::int64_t num_attention_heads = 0;
  std::int64_t num_key_value_heads = 0;  // GQA families; meaningless for MLA
  std::int64_t head_dim = 0;             // GQA families
  std::int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000;
  RopeScaling rope_scaling;
  bool rope_interleave = false;  // GQA families: pairs (2i, 2i + 1) as in GGUF's llama, not (i, i + head_dim / 2); MLA always
  bool tie_word_embeddings = false;
  bool attention_bias = false;  // MLA: q_a_proj, kv_a_proj_with_mqa, o_proj; llama: q, k, v, o; qwen2 always q, k, v

  // MLA
  std::int64_t q_lora_rank = 0;  // 0: the tensor is q_proj (config null)
  std::int64_t kv_lora_rank = 0;
  std::int64_t qk_nope_head_dim = 0;
  std::int64_t qk_rope_head_dim = 0;
  std::int64_t v_head_dim = 0;

  // MoE; n_routed_experts 0: dense model
  std::int64_t n_routed_experts = 0;
  std::int64_t n_shared_experts = 0;
  std::int64_t num_experts_per_tok = 0;
  std::int64_t moe_intermediate_size = 0;
  std::int64_t first_k_dense_replace = 0;
  std::int64_t moe_layer_freq = 1;
  std::int64_t n_group = 1;
  std::int64_t topk_group = 1;
  TopkMethod topk_method = TopkMethod::greedy;
  ScoringFunc scoring_func = ScoringFunc::softmax;
  // deepseek_v3: weights are divided by their sum, then scaled. deepseek_v2: where it is true and num_experts_per_tok
  // is above 1, they are divided by their sum and routed_scaling_factor is NOT applied (false in the official configs).
  bool norm_topk_prob = false;
  double routed_scaling_factor = 1;

  std::int64_t num_nextn_predict_layers = 0;
  bool fp8_blocks = false;  // quantization_config fp8, weight_block_size [128, 128]

  std::int32_t bos_token_id = -1;
  std::vector<std::int32_t> eos_token_ids;

  bool is_mla() const { return architecture == Architecture::deepseek_v2 || architecture == Architecture::deepseek_v3; }
  bool is_moe_layer(std::int64_t layer) const {
    return n_routed_experts > 0 && layer >= first_k_dense_replace && layer % moe_layer_freq == 0;
  }
  std::int64_t qk_head_dim() const { return qk_nope_head_dim + qk_rope_head_dim; }
  // Values cached per token and layer: 576 for the official MLA shapes.
  std::int64_t kv_row_elements() const {
    return is_mla() ? kv_lora_rank + qk_rope_head_dim : 2 * num_key_value_heads * head_dim;
  }

  // `what` names the file in messages.
  static Result<Config> parse(const Json& json, std::string_view what = "config.json");
};

// generation_config.json: defaults that a session starts from; absent keys stay unset (negative).
struct GenerationConfig {
  std::vector<std::int32_t> eos_token_ids;
  bool do_sample = false;
  double temperature = -1, top_p = -1;
  std::int64_t top_k = -1;
  std::int64_t max_new_tokens = -1;
  static Result<GenerationConfig> parse(const Json& json);
};

}  // namespace ponder::core
