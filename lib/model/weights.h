// Weights of one model as views into mapped memory, named as in the checkpoint. Norms, biases and router tensors are
// small and kept as f32 copies; every matrix stays where it lies.
#pragma once

#include <memory>
#include <vector>

#include "lib/base/buffer.h"
#include "lib/base/tensor.h"
#include "lib/io/file_source.h"

namespace ponder::core {

struct AttentionWeights {
  // MLA
  Weight q_proj;                     // q_lora_rank null, and GQA
  Weight q_a_proj, q_b_proj;
  const float* q_a_layernorm = nullptr;
  Weight kv_a_proj_with_mqa, kv_b_proj;
  // GGUF's other form of kv_b_proj: the key part transposed per head [n_heads * kv_lora_rank, qk_nope_head_dim], and the
  // value part [n_heads * v_head_dim, kv_lora_rank]. Empty where kv_b_proj is not.
  Weight k_b_proj, v_b_proj;
  const float* kv_a_layernorm = nullptr;
  const float* q_a_proj_bias = nullptr;  // attention_bias only
  const float* kv_a_proj_bias = nullptr;
  const float* o_proj_bias = nullptr;
  // GQA
  Weight k_proj, v_proj;
  const float *q_proj_bias = nullptr, *k_proj_bias = nullptr, *v_proj_bias = nullptr;
  Weight o_proj;
};

struct MlpWeights {
  Weight gate_proj, up_proj, down_proj;
};

struct MoeWeights {
  Weight gate;                                    // router [n_routed_experts, hidden_size]
  const float* e_score_correction_bias = nullptr;  // noaux_tc
  std::vector<MlpWeights> experts;
  MlpWeights shared_experts;  // empty weights when n_shared_experts is 0
};

struct LayerWeights {
  const float* input_layernorm = nullptr;
  const float* post_attention_layernorm = nullptr;
  AttentionWeights self_attn;
  MlpWeights mlp;  // dense layers
  MoeWeights moe;  // MoE layers: moe.experts is not empty
};

struct MtpWeights {
  const float *enorm = nullptr, *hnorm = nullptr, *shared_head_norm = nullptr;
  Weight eh_proj, embed_tokens, shared_head;
  LayerWeights layer;
};

struct ModelWeights {
  Weight embed_tokens;
  Weight lm_head;  // embed_tokens when tied
  const float* norm = nullptr;
  std::vector<LayerWeights> layers;
  std::unique_ptr<MtpWeights> mtp;  // null without an MTP layer

  std::vector<Buffer> owned;    // f32 copies of small tensors; weights that lie in no file
  std::vector<FileView> files;  // keep the others mapped

  // `w` was read and will not be soon: pages that it has in mapped files need no memory until then.
  void let_go(const Weight& w) const;
};

}  // namespace ponder::core
