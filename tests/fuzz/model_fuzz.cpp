// A whole checkpoint in memory whose config.json, index and safetensors headers are patched: a load gives a status or a
// model, and a model runs one prompt. The first byte picks the checkpoint, then come patches.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "lib/io/safetensors.h"
#include "lib/model/loader.h"
#include "tests/fuzz/patches.h"
#include "tests/fuzz/run_prompt.h"

using namespace ponder::core;

namespace {

constexpr const char* kConfigs[] = {
    R"({"architectures": ["DeepseekV3ForCausalLM"], "hidden_size": 8, "intermediate_size": 8, "vocab_size": 9,
"num_hidden_layers": 2, "num_attention_heads": 2, "q_lora_rank": 4, "kv_lora_rank": 4, "qk_nope_head_dim": 4,
"qk_rope_head_dim": 4, "v_head_dim": 4, "attention_bias": true, "n_routed_experts": 4, "n_shared_experts": 1,
"num_experts_per_tok": 2, "moe_intermediate_size": 4, "first_k_dense_replace": 1, "moe_layer_freq": 1, "n_group": 2,
"topk_group": 1, "topk_method": "noaux_tc", "scoring_func": "sigmoid", "norm_topk_prob": true, "rms_norm_eps": 1e-6,
"routed_scaling_factor": 2.5, "num_nextn_predict_layers": 1, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
"rope_theta": 10000, "rope_scaling": {"type": "yarn", "factor": 40, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0,
"mscale_all_dim": 1.0, "original_max_position_embeddings": 64}, "quantization_config": {"quant_method": "fp8",
"fmt": "e4m3", "weight_block_size": [128, 128], "activation_scheme": "dynamic"}, "eos_token_id": 1})",
    R"({"architectures": ["DeepseekV2ForCausalLM"], "hidden_size": 8, "intermediate_size": 8, "vocab_size": 9,
"num_hidden_layers": 2, "num_attention_heads": 2, "q_lora_rank": null, "kv_lora_rank": 4, "qk_nope_head_dim": 4,
"qk_rope_head_dim": 4, "v_head_dim": 4, "n_routed_experts": 4, "n_shared_experts": null, "num_experts_per_tok": 2,
"moe_intermediate_size": 4, "first_k_dense_replace": 0, "n_group": 2, "topk_group": 1, "rms_norm_eps": 1e-6,
"topk_method": "group_limited_greedy", "routed_scaling_factor": 16, "eos_token_id": [1, 2]})",
    R"({"architectures": ["Qwen2ForCausalLM"], "hidden_size": 8, "intermediate_size": 8, "vocab_size": 9,
"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "rms_norm_eps": 1e-6, "rope_theta": 1000000,
"tie_word_embeddings": true, "use_sliding_window": false, "sliding_window": 4096})",
    R"({"architectures": ["LlamaForCausalLM"], "hidden_size": 8, "intermediate_size": 8, "vocab_size": 9, "head_dim": 6,
"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "rope_theta": 500000,
"attention_bias": true, "rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1,
"high_freq_factor": 4, "original_max_position_embeddings": 64}})"};

// Every tensor that a config wants, with the same few values in it.
class MakeTensors final : public TensorBinder {
 public:
  explicit MakeTensors(bool fp8) : fp8_(fp8) {}
  Weight matrix(const std::string& name, std::int64_t n_out, std::int64_t n_in, Component component) override {
    const bool fp8 = fp8_ && !stays_unquantised(name, component);
    add(name, fp8 ? DType::f8_e4m3 : DType::bf16, Shape{n_out, n_in});
    if (fp8) add(name + "_scale_inv", DType::f32, Shape{(n_out + 127) / 128, (n_in + 127) / 128});
    return {};
  }
  const float* vector(const std::string& name, std::int64_t n, Component) override {
    add(name, DType::f32, Shape{n});
    return nullptr;
  }
  bool has(const std::string&) const override { return false; }
  bool go_on() override { return true; }

  std::string serialize(std::size_t from, std::size_t to) const {
    std::vector<TensorToWrite> list;
    for (std::size_t i = from; i < to; ++i)
      list.push_back({tensors[i].name, tensors[i].type, tensors[i].shape, std::as_bytes(std::span(data[i]))});
    return *serialize_safetensors(list);
  }
  std::vector<TensorToWrite> tensors;
  std::vector<std::string> data;

 private:
  void add(const std::string& name, DType type, const Shape& shape) {
    std::string bytes(row_bytes(type, static_cast<std::size_t>(shape.n_elements())), '\x3c');  // about 0.01 in each type
    for (std::size_t i = 0; i < bytes.size(); i += 3) bytes[i] = static_cast<char>('\x38' + i % 4);
    tensors.push_back({name, type, shape, {}});
    data.push_back(std::move(bytes));
  }
  bool fp8_;
};

using Files = std::array<std::pair<std::string, std::string>, 4>;  // config, index, two shards (or one file, twice empty)

std::vector<Files> make_checkpoints() {
  std::vector<Files> all;
  for (const char* text : kConfigs) {
    const Config config = *Config::parse(*parse_json(text, "config.json"));
    MakeTensors binder(config.fp8_blocks);
    ModelWeights weights;
    bind_weights(config, config.num_nextn_predict_layers > 0, binder, weights);
    const std::size_t n = binder.tensors.size(), half = n / 2;
    all.push_back({{{"config.json", text}, {"", ""}, {"model.safetensors", binder.serialize(0, n)}, {"", ""}}});
    Json map{Json::Object()};
    for (std::size_t i = 0; i < n; ++i) map.set(binder.tensors[i].name, i < half ? "a.safetensors" : "b.safetensors");
    Json index{Json::Object()};
    index.set("weight_map", std::move(map));
    all.push_back({{{"config.json", text}, {"model.safetensors.index.json", dump_json(index)},
                    {"a.safetensors", binder.serialize(0, half)}, {"b.safetensors", binder.serialize(half, n)}}});
  }
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<Files> checkpoints = make_checkpoints();
  if (size == 0) return 0;
  Files files = checkpoints[data[0] % checkpoints.size()];
  std::span<const std::uint8_t> rest(data + 1, size - 1);
  for (; rest.size() > ponder::fuzz::kPatchBytes; rest = rest.subspan(ponder::fuzz::kPatchBytes + 1)) {
    std::string& text = files[rest[0] % files.size()].second;
    if (rest[0] % files.size() < 2) {
      ponder::fuzz::apply_patch(text, rest.subspan(1));
    } else if (text.size() > 8) {  // the header, whose length stays right unless its own bytes are patched
      std::uint64_t n = 0;
      std::memcpy(&n, text.data(), 8);
      std::string header = text.substr(8, static_cast<std::size_t>(n));
      ponder::fuzz::apply_patch(header, rest.subspan(1));
      std::string length;
      for (int i = 0; i < 8; ++i) length += static_cast<char>(std::uint64_t{header.size()} >> (8 * i) & 0xff);
      text = length + header + (n < text.size() - 8 ? text.substr(8 + static_cast<std::size_t>(n)) : "");
    }
  }
  std::vector<MemoryFile> memory;
  for (const auto& [name, text] : files)
    if (!name.empty()) memory.push_back({name, std::as_bytes(std::span(text))});
  const auto source = memory_source(std::move(memory));
  const auto inspection = Model::inspect(*source);
  const auto model = Model::load(source, {});
  if (inspection.ok() != model.ok()) __builtin_trap();
  if (!model.ok()) {
    if (model.status().message().empty()) __builtin_trap();
    return 0;
  }
  ponder::fuzz::run_prompt(**model);
  return 0;
}
