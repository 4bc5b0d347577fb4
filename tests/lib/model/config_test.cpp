#include "lib/model/config.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "lib/io/json.h"
#include "lib/io/mapped_file.h"

using namespace ponder::core;

namespace {

Json fixture(const std::string& model) {
  auto text = read_file(std::string(PONDER_TEST_DATA "/models/") + model + "/config.json", 1 << 20);
  REQUIRE(text.ok());
  auto json = parse_json(*text, "config.json");
  REQUIRE(json.ok());
  return *json;
}

Status parse_with(const char* model, const char* key, Json value) {
  Json json = fixture(model);
  json.set(key, std::move(value));
  return Config::parse(json).status();
}

bool names(const Status& status, const char* text) { return status.message().find(text) != std::string::npos; }

}  // namespace

TEST_CASE("config.json of every fixture parses") {
  const Config v2 = *Config::parse(fixture("v2-tiny"));
  CHECK(v2.architecture == Architecture::deepseek_v2);
  CHECK(v2.topk_method == TopkMethod::group_limited_greedy);
  CHECK(v2.n_group == 4);
  CHECK(v2.topk_group == 2);
  CHECK(v2.rope_scaling.type == RopeScalingType::yarn);
  CHECK(v2.rope_scaling.factor == 40);
  CHECK_FALSE(v2.norm_topk_prob);
  const Config lite = *Config::parse(fixture("v2lite-tiny"));
  CHECK(lite.q_lora_rank == 0);
  CHECK(lite.topk_method == TopkMethod::greedy);
  const Config fp8 = *Config::parse(fixture("v3-fp8-tiny"));
  CHECK(fp8.fp8_blocks);
  CHECK(fp8.num_nextn_predict_layers == 1);
  CHECK(fp8.kv_row_elements() == 132 + 16);
  CHECK(fp8.eos_token_ids == std::vector<std::int32_t>{1});
  const Config qwen = *Config::parse(fixture("qwen2-tied-tiny"));
  CHECK(qwen.tie_word_embeddings);
  CHECK(qwen.head_dim == 12);
  CHECK(qwen.rope_theta == 1000000);
  const Config llama = *Config::parse(fixture("llama3-tiny"));
  CHECK(llama.rope_scaling.type == RopeScalingType::llama3);
  CHECK(llama.rope_scaling.high_freq_factor == 4);
}

TEST_CASE("every problem is reported by key, in one message") {
  Json json = fixture("v3-tiny");
  json.set("hidden_size", 0);
  json.set("kv_lora_rank", "large");
  json.set("vocab_size", nullptr);
  const Status status = Config::parse(json).status();
  CHECK(status.code() == Code::bad_file);
  CHECK(names(status, "hidden_size is 0"));
  CHECK(names(status, "kv_lora_rank is a string"));
  CHECK(names(status, "vocab_size is missing"));
}

TEST_CASE("sizes out of range are refused") {
  for (const char* key : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                          "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "num_experts_per_tok",
                          "moe_intermediate_size", "moe_layer_freq", "n_group", "topk_group"})
    for (const std::int64_t value : {std::int64_t{0}, std::int64_t{-1}, std::numeric_limits<std::int64_t>::max(),
                                     std::numeric_limits<std::int64_t>::min(), std::int64_t{1} << 40}) {
      const Status status = parse_with("v3-tiny", key, value);
      CAPTURE(key);
      CAPTURE(value);
      CHECK(status.code() == Code::bad_file);
      CHECK(names(status, key));
    }
  CHECK(parse_with("v3-tiny", "hidden_size", 64.5).code() == Code::bad_file);
  CHECK(parse_with("v3-tiny", "rms_norm_eps", std::numeric_limits<double>::quiet_NaN()).code() == Code::bad_file);
  CHECK(parse_with("v3-tiny", "rope_theta", std::numeric_limits<double>::infinity()).code() == Code::bad_file);
  CHECK(parse_with("v3-tiny", "qk_rope_head_dim", 15).code() == Code::bad_file);
  CHECK(parse_with("v3-tiny", "n_group", 3).code() == Code::bad_file);
  CHECK(parse_with("v3-tiny", "topk_group", 100).code() == Code::bad_file);
  CHECK(parse_with("v3-tiny", "eos_token_id", -5).code() == Code::bad_file);
  CHECK(parse_with("qwen2-tiny", "num_key_value_heads", 3).code() == Code::bad_file);
  Json huge = fixture("v3-tiny");  // each size is allowed, the model is not
  huge.set("hidden_size", 1 << 20);
  huge.set("moe_intermediate_size", 1 << 22);
  huge.set("num_hidden_layers", 4096);
  CHECK(Config::parse(huge).status().code() == Code::bad_file);
}

TEST_CASE("what is not supported is said by name") {
  const Status unknown = parse_with("v3-tiny", "architectures", Json::Array{"MambaForCausalLM"});
  CHECK(unknown.code() == Code::unsupported);
  CHECK(names(unknown, "MambaForCausalLM"));
  CHECK(parse_with("v3-tiny", "architectures", Json::Array{}).code() == Code::bad_file);
  CHECK(parse_with("v3-tiny", "hidden_act", "gelu").code() == Code::unsupported);
  CHECK(parse_with("v3-tiny", "scoring_func", "softmax").code() == Code::unsupported);
  CHECK(parse_with("v2-tiny", "topk_method", "noaux_tc").code() == Code::unsupported);
  CHECK(parse_with("qwen2-tiny", "use_sliding_window", true).code() == Code::unsupported);
  CHECK(parse_with("llama3-tiny", "rope_scaling", Json::Object{{"type", "dynamic"}}).code() == Code::unsupported);
  const Json::Object awq{{"quant_method", "awq"}};
  CHECK(names(parse_with("v3-tiny", "quantization_config", awq), "awq"));
  const Json::Object blocks{{"quant_method", "fp8"}, {"weight_block_size", Json::Array{64, 64}}};
  CHECK(parse_with("v3-tiny", "quantization_config", blocks).code() == Code::unsupported);
  CHECK(Config::parse(Json(3)).status().code() == Code::bad_file);
}

TEST_CASE("spellings: rope_type, rope_parameters, dtype, list of end tokens") {
  Json json = fixture("v3-tiny");
  json.set("rope_scaling", nullptr);
  json.set("rope_theta", nullptr);
  json.set("rope_parameters", Json::Object{{"rope_type", "yarn"}, {"factor", 4}, {"rope_theta", 5000},
                                           {"original_max_position_embeddings", 32}});
  json.set("torch_dtype", nullptr);
  json.set("dtype", "float16");
  json.set("eos_token_id", Json::Array{1, 7});
  const auto config = Config::parse(json);
  REQUIRE(config.ok());
  CHECK(config->rope_theta == 5000);
  CHECK(config->rope_scaling.type == RopeScalingType::yarn);
  CHECK(config->rope_scaling.mscale == 1);
  CHECK(config->rope_scaling.mscale_all_dim == 0);
  CHECK(config->torch_dtype == "float16");
  CHECK(config->eos_token_ids == std::vector<std::int32_t>{1, 7});
}

TEST_CASE("without architectures the model_type says what it is") {
  for (const auto& [model, architecture] :
       {std::pair("v2-tiny", Architecture::deepseek_v2), std::pair("v3-tiny", Architecture::deepseek_v3),
        std::pair("qwen2-tiny", Architecture::qwen2), std::pair("llama3-tiny", Architecture::llama)}) {
    Json json = fixture(model);
    json.set("architectures", nullptr);
    const auto config = Config::parse(json);
    REQUIRE(config.ok());
    CHECK(config->architecture == architecture);
    CHECK(config->architecture_name.ends_with("ForCausalLM"));
  }
  Json json = fixture("v3-tiny");
  json.set("architectures", nullptr);
  json.set("model_type", "mamba");
  const Status status = Config::parse(json).status();
  CHECK(status.code() == Code::bad_file);
  CHECK(names(status, "mamba"));
}

TEST_CASE("linear rope scaling and attention_bias of llama") {
  Json json = fixture("llama3-tiny");
  json.set("rope_scaling", Json::Object{{"type", "linear"}, {"factor", 4}});
  json.set("attention_bias", true);
  const auto config = Config::parse(json);
  REQUIRE(config.ok());
  CHECK(config->rope_scaling.type == RopeScalingType::linear);
  CHECK(config->rope_scaling.factor == 4);
  CHECK(config->attention_bias);
  CHECK(parse_with("llama3-tiny", "rope_scaling", Json::Object{{"type", "linear"}}).code() == Code::bad_file);
  CHECK(parse_with("v3-tiny", "rope_scaling", Json::Object{{"type", "linear"}, {"factor", 4}}).code() ==
        Code::unsupported);
  CHECK(parse_with("llama3-tiny", "mlp_bias", true).code() == Code::unsupported);
  CHECK(parse_with("llama3-tiny", "partial_rotary_factor", 0.5).code() == Code::unsupported);
}

TEST_CASE("generation_config.json") {
  const auto config = GenerationConfig::parse(*parse_json(R"({"temperature": 0.6, "top_p": 0.95, "eos_token_id": [1, 2]})", "x"));
  REQUIRE(config.ok());
  CHECK(config->temperature == 0.6);
  CHECK(config->top_k == -1);
  CHECK(config->eos_token_ids.size() == 2);
  CHECK_FALSE(GenerationConfig::parse(*parse_json(R"({"top_p": 3})", "x")).ok());
}
