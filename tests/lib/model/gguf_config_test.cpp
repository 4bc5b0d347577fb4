// GGUF metadata as config, against the config.json of the same weights.
#include <doctest/doctest.h>

#include <cmath>

#include "lib/model/gguf_config.h"
#include "tests/lib/io/editable_gguf.h"

using namespace ponder::core;
using ponder::test::EditableGguf;

namespace {

Result<GgufConfig> read(EditableGguf file) {
  const std::string bytes = file.build();
  const auto checkpoint = GgufCheckpoint::open(*ponder::test::gguf_source(bytes), "model.gguf");
  REQUIRE_MESSAGE(checkpoint.ok(), checkpoint.status().message());
  return read_gguf_config(*checkpoint);
}

Config config_json(const std::string& folder) {
  const auto source = folder_source(PONDER_TEST_DATA);
  const auto file = source->open(folder);
  REQUIRE(file.ok());
  return *Config::parse(*parse_json(file->text(), folder));
}

// "" when the file is accepted.
std::string refusal(const EditableGguf& file) {
  const auto result = read(file);
  return result.ok() ? "" : result.status().message();
}

bool mentions(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

const char* const kV3 = "v3-tiny.bf16.gguf";

}  // namespace

TEST_CASE("gguf config: the fixtures say what the config.json of their weights says") {
  const std::pair<const char*, const char*> kTwins[] = {{"v3-tiny.bf16.gguf", "models/v3-tiny/config.json"},
                                                        {"v2lite-tiny.bf16.gguf", "models/v2lite-tiny/config.json"},
                                                        {"qwen2-tiny.bf16.gguf", "models/qwen2-tiny/config.json"},
                                                        {"llama3-tiny.bf16.gguf", "models/llama3-tiny/config.json"},
                                                        {"llama3-kq-tiny.gguf", "gguf/llama3-kq-tiny.config.json"}};
  for (const auto& twin : kTwins) {
    CAPTURE(twin.first);
    const auto read_file = read(EditableGguf(twin.first));
    REQUIRE_MESSAGE(read_file.ok(), read_file.status().message());
    CHECK(read_file->warnings.empty());
    const Config &got = read_file->config, want = config_json(twin.second);
    CHECK(got.architecture_name == want.architecture_name);
    CHECK(got.model_type == want.model_type);
    for (const auto member :
         {&Config::vocab_size, &Config::hidden_size, &Config::intermediate_size, &Config::num_hidden_layers,
          &Config::num_attention_heads, &Config::num_key_value_heads, &Config::head_dim, &Config::max_position_embeddings,
          &Config::q_lora_rank, &Config::kv_lora_rank, &Config::qk_nope_head_dim, &Config::qk_rope_head_dim,
          &Config::v_head_dim, &Config::n_routed_experts, &Config::n_shared_experts, &Config::num_experts_per_tok,
          &Config::moe_intermediate_size, &Config::first_k_dense_replace, &Config::moe_layer_freq, &Config::n_group,
          &Config::topk_group})
      CHECK(got.*member == want.*member);
    CHECK(got.rms_norm_eps == doctest::Approx(want.rms_norm_eps));
    CHECK(got.rope_theta == want.rope_theta);
    CHECK(got.tie_word_embeddings == want.tie_word_embeddings);
    CHECK(got.attention_bias == want.attention_bias);
    CHECK(got.topk_method == want.topk_method);
    CHECK(got.scoring_func == want.scoring_func);
    CHECK(got.norm_topk_prob == want.norm_topk_prob);
    CHECK(got.routed_scaling_factor == want.routed_scaling_factor);
    CHECK(got.bos_token_id == want.bos_token_id);
    CHECK(got.eos_token_ids == std::vector<std::int32_t>{1});
    CHECK(got.num_nextn_predict_layers == 0);  // not in these files
    CHECK(got.rope_interleave == (want.architecture == Architecture::llama));
    if (want.rope_scaling.type == RopeScalingType::yarn) {
      CHECK(got.rope_scaling.type == RopeScalingType::yarn);
      CHECK(got.rope_scaling.factor == want.rope_scaling.factor);
      CHECK(got.rope_scaling.original_max_position_embeddings == want.rope_scaling.original_max_position_embeddings);
      CHECK(got.rope_scaling.mscale == doctest::Approx(want.rope_scaling.mscale));
      CHECK(got.rope_scaling.mscale_all_dim == doctest::Approx(want.rope_scaling.mscale_all_dim));
    }
    CHECK(got.rope_scaling.divisors.size() ==
          (want.rope_scaling.type == RopeScalingType::llama3 ? static_cast<std::size_t>(want.head_dim / 2) : 0));
  }
}

TEST_CASE("gguf config: missing, mistyped and impossible keys are named together") {
  EditableGguf file(kV3);
  file.metadata.erase("deepseek2.block_count");
  file.set("deepseek2.embedding_length", "wide");
  file.set("deepseek2.attention.head_count", -1.0f);
  file.metadata["deepseek2.context_length"] = {GgufType::u64, false, 1, ponder::test::GgufBytes().u64(1ull << 62).text};
  const std::string text = refusal(file);
  CHECK(mentions(text, "model.gguf: "));
  CHECK(mentions(text, "deepseek2.block_count: missing"));
  CHECK(mentions(text, "deepseek2.embedding_length: 'wide', wanted a whole number"));
  CHECK(mentions(text, "deepseek2.attention.head_count: f32 -1"));
  CHECK(mentions(text, "deepseek2.context_length: u64 4611686018427387904"));
}

TEST_CASE("gguf config: every key that the tensors need is missed when it is not there") {
  for (const char* key :
       {"block_count", "context_length", "embedding_length", "feed_forward_length", "attention.head_count",
        "attention.layer_norm_rms_epsilon", "attention.kv_lora_rank", "attention.q_lora_rank", "rope.dimension_count",
        "attention.value_length_mla", "attention.key_length_mla", "expert_used_count", "expert_feed_forward_length",
        "expert_weights_scale", "expert_group_used_count", "rope.scaling.factor", "rope.scaling.original_context_length"}) {
    CAPTURE(key);
    EditableGguf file(kV3);
    file.metadata.erase(std::string("deepseek2.") + key);
    CHECK(mentions(refusal(file), std::string("deepseek2.") + key + ": missing"));
  }
}

TEST_CASE("gguf config: values that config.json would not allow are told with the file's own keys") {
  const auto with = [](const char* key, std::uint32_t value) {
    EditableGguf file(kV3);
    file.set(key, value);
    return refusal(file);
  };
  CHECK(mentions(with("deepseek2.embedding_length", 0), "deepseek2.embedding_length is 0"));
  CHECK(mentions(with("deepseek2.attention.head_count", 70000), "deepseek2.attention.head_count is 70000"));
  CHECK(mentions(with("deepseek2.expert_used_count", 100), "deepseek2.expert_used_count is 100"));
  CHECK(mentions(with("deepseek2.expert_group_count", 3), "deepseek2.expert_count 16 is no multiple of deepseek2.expert_group_count 3"));
  CHECK(mentions(with("deepseek2.rope.dimension_count", 32), "deepseek2.attention.key_length_mla: 32, wanted more than the 32"));
  CHECK(mentions(with("deepseek2.attention.key_length", 192), "deepseek2.attention.key_length: 192, wanted 48"));
  CHECK(mentions(with("deepseek2.attention.head_count_kv", 4), "deepseek2.attention.head_count_kv: 4, wanted 1"));
  CHECK(mentions(with("deepseek2.expert_gating_func", 3), "deepseek2.expert_gating_func: 3"));
  CHECK(mentions(with("deepseek2.nextn_predict_layers", 3), "deepseek2.nextn_predict_layers: 3 of 3 layers"));
  CHECK(mentions(with("deepseek2.attention.scale", 1), "deepseek2.attention.scale: not supported"));
}

TEST_CASE("gguf config: other architectures are refused by name") {
  EditableGguf file("llama3-tiny.bf16.gguf");
  file.set("general.architecture", "gemma3");
  CHECK(mentions(refusal(file), "general.architecture \"gemma3\" is not supported"));
  file.metadata.erase("general.architecture");
  CHECK(mentions(refusal(file), "general.architecture is missing"));
  file.set("general.architecture", 7u);
  CHECK(mentions(refusal(file), "general.architecture: u32 7, wanted a string"));
  EditableGguf mixtral("llama3-tiny.bf16.gguf");
  mixtral.set("llama.expert_count", 8u);
  CHECK(mentions(refusal(mixtral), "llama.expert_count: llama experts are not supported"));
}

TEST_CASE("gguf config: group limits that old files lack are restored for the published models, with a warning") {
  EditableGguf r1(kV3);
  r1.metadata.erase("deepseek2.expert_group_count");
  r1.metadata.erase("deepseek2.expert_group_used_count");
  const auto other = read(r1);  // 16 experts: no published model
  REQUIRE(other.ok());
  CHECK(other->config.n_group == 1);
  CHECK(other->warnings.empty());
  r1.set("deepseek2.expert_count", 256u);
  const auto restored = read(r1);
  REQUIRE(restored.ok());
  CHECK(restored->config.n_group == 8);
  CHECK(restored->config.topk_group == 4);
  REQUIRE(restored->warnings.size() == 1);
  CHECK(mentions(restored->warnings[0], "deepseek2.expert_group_count is missing"));

  EditableGguf v2 = r1;
  v2.metadata.erase("deepseek2.expert_gating_func");  // older than the key
  v2.set("deepseek2.expert_count", 160u);
  v2.set_flag("deepseek2.expert_weights_norm", false);
  const auto restored_v2 = read(v2);
  REQUIRE(restored_v2.ok());
  CHECK(restored_v2->config.architecture == Architecture::deepseek_v2);
  CHECK(restored_v2->config.topk_method == TopkMethod::group_limited_greedy);
  CHECK(restored_v2->config.n_group == 8);
  CHECK(restored_v2->config.topk_group == 3);
  CHECK(restored_v2->warnings.size() == 1);
}

TEST_CASE("gguf config: where no key says what ends a turn, control tokens do by their text") {
  EditableGguf file("llama3-tiny.bf16.gguf");
  file.set("tokenizer.ggml.tokens", std::vector<std::string>{"<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>",
                                                             "<|im_end|>", "word"});
  file.set("tokenizer.ggml.token_type", std::vector<std::int32_t>{3, 3, 3, 3, 1, 1});  // <|im_end|> is no control token
  file.set("tokenizer.ggml.eos_token_id", 1u);
  const auto ends = [&] { return read(file)->config.eos_token_ids; };
  CHECK(ends() == std::vector<std::int32_t>{1, 2, 3});  // an old Llama 3
  file.set("tokenizer.ggml.eot_token_id", 4u);
  CHECK(ends() == std::vector<std::int32_t>{1, 4, 3});
  file.set("tokenizer.ggml.eom_token_id", 0u);
  CHECK(ends() == std::vector<std::int32_t>{1, 4, 0});
  file.metadata.erase("tokenizer.ggml.eot_token_id");
  file.set("tokenizer.ggml.tokens", std::vector<std::string>{"<|im_end|>", "a", "<｜end▁of▁sentence｜>", "<|end|>", "b", "c"});
  file.set("tokenizer.ggml.token_type", std::vector<std::int32_t>{3, 1, 3, 3, 1, 1});
  CHECK(ends() == std::vector<std::int32_t>{1, 0, 2, 3});
  file.metadata.erase("tokenizer.ggml.token_type");  // then nothing tells text from control
  CHECK(ends() == std::vector<std::int32_t>{1, 0});
}

TEST_CASE("gguf config: YaRN and linear scaling of the dense architectures") {
  EditableGguf file("qwen2-tiny.bf16.gguf");
  file.set("qwen2.rope.scaling.type", "yarn");
  file.set("qwen2.rope.scaling.factor", 4.0f);
  file.set("qwen2.rope.scaling.original_context_length", 128u);
  const auto yarn = read(file);
  REQUIRE_MESSAGE(yarn.ok(), yarn.status().message());
  CHECK(yarn->config.rope_scaling.type == RopeScalingType::yarn);
  CHECK(yarn->config.rope_scaling.factor == 4);
  CHECK(yarn->config.rope_scaling.original_max_position_embeddings == 128);
  CHECK(yarn->config.rope_scaling.beta_fast == 32);
  CHECK(yarn->config.rope_scaling.mscale == 1);
  CHECK(yarn->config.rope_scaling.mscale_all_dim == 0);
  file.set("qwen2.rope.scaling.yarn_beta_fast", 16.0f);
  file.set("qwen2.rope.scaling.attn_factor", 0.5f);
  const RopeScaling halved = read(file)->config.rope_scaling;
  CHECK(halved.beta_fast == 16);
  const double log = 0.1 * std::log(4.0);
  CHECK(log * halved.mscale + 1 == doctest::Approx(0.5 * (log + 1)));
  for (const char* key : {"yarn_log_multiplier", "yarn_ext_factor"}) {
    EditableGguf other = file;
    other.set(std::string("qwen2.rope.scaling.") + key, 0.25f);
    CHECK(mentions(refusal(other), std::string("qwen2.rope.scaling.") + key));
  }
  file.metadata.erase("qwen2.rope.scaling.original_context_length");
  CHECK(mentions(refusal(file), "qwen2.rope.scaling.original_context_length: missing"));
  file.set("qwen2.rope.scaling.type", "longrope");
  CHECK(mentions(refusal(file), "longrope"));

  EditableGguf llama("llama3-tiny.bf16.gguf");
  llama.set("llama.rope.scale_linear", 2.0f);  // the old key, without a type
  CHECK(read(llama)->config.rope_scaling.type == RopeScalingType::linear);
  CHECK(read(llama)->config.rope_scaling.factor == 2);
  llama.set("llama.rope.scaling.factor", 8.0f);
  CHECK(read(llama)->config.rope_scaling.factor == 8);
  llama.set("llama.rope.scaling.type", "none");
  CHECK(read(llama)->config.rope_scaling.type == RopeScalingType::none);
}

TEST_CASE("gguf config: layers for multi-token prediction are counted by block_count") {
  EditableGguf file(kV3);
  file.set("deepseek2.block_count", 4u);
  file.set("deepseek2.nextn_predict_layers", 1u);
  const auto read_file = read(file);
  REQUIRE(read_file.ok());
  CHECK(read_file->config.num_hidden_layers == 3);
  CHECK(read_file->config.num_nextn_predict_layers == 1);
}

TEST_CASE("gguf config: rope_freqs of llama must have one sound divisor per pair") {
  EditableGguf file("llama3-tiny.bf16.gguf");
  auto& divisors = file.tensors["rope_freqs.weight"];
  divisors.bytes.replace(4, 4, std::string(4, '\0'));
  CHECK(mentions(refusal(file), "rope_freqs.weight: element 1 is 0"));
  divisors.shape = {4};
  divisors.bytes.resize(16);
  CHECK(mentions(refusal(file), "rope_freqs.weight: F32 [4], wanted F32 [8]"));
}

TEST_CASE("gguf config: the vocabulary is counted where no key says it, the head is tied where no tensor is") {
  EditableGguf file("qwen2-tiny.bf16.gguf");
  file.metadata.erase("qwen2.vocab_size");
  file.tensors.erase("output.weight");
  const auto by_tokens = read(file);
  REQUIRE(by_tokens.ok());
  CHECK(by_tokens->config.vocab_size == 320);
  CHECK(by_tokens->config.tie_word_embeddings);
  file.metadata.erase("tokenizer.ggml.tokens");
  const auto by_embedding = read(file);
  REQUIRE(by_embedding.ok());
  CHECK(by_embedding->config.vocab_size == 320);
  file.tensors.erase("token_embd.weight");
  CHECK(mentions(refusal(file), "qwen2.vocab_size is missing"));
}
