// Broken checkpoints: every one is refused with a message, none crashes. Run under ASan and UBSan too.
#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "tests/lib/model/editable_checkpoint.h"

using namespace ponder::core;
using namespace ponder::test;

namespace {

// What a load of any files must be: a model, or a status with a code and a message.
bool loads(const Files& files) {
  const auto model = load_files(files);
  if (model.ok()) return true;
  CHECK(model.status().code() < Code::ok);
  CHECK_FALSE(model.status().message().empty());
  return false;
}

Files small_sharded() {
  Files files = Editable("llama-odd-tiny").sharded_files(2);
  files["generation_config.json"] = R"({"eos_token_id": [1, 2], "temperature": 0.5})";
  return files;
}

std::size_t header_end(const std::string& safetensors) {
  std::uint64_t header = 0;
  std::memcpy(&header, safetensors.data(), 8);
  return 8 + static_cast<std::size_t>(header);
}

Files with_config(const Files& files, const std::string& key, const std::string& json_value) {
  Json config = *parse_json(files.at("config.json"), "config.json");
  config.set(key, *parse_json(json_value, "value"));
  Files changed = files;
  changed["config.json"] = dump_json(config);
  return changed;
}

}  // namespace

TEST_CASE("bad input: every truncation of config, index and generation_config is refused") {
  const Files whole = small_sharded();
  REQUIRE(loads(whole));
  for (const char* name : {"config.json", "model.safetensors.index.json", "generation_config.json"})
    for (std::size_t n = 0; n < whole.at(name).size(); ++n) {
      Files cut = whole;
      cut[name].resize(n);
      CAPTURE(name);
      CAPTURE(n);
      REQUIRE_FALSE(loads(cut));
    }
}

TEST_CASE("bad input: every truncation of a shard is refused") {
  const Files whole = small_sharded();
  const std::string& shard = whole.at("2.safetensors");
  const std::size_t data = header_end(shard);
  Files cut = whole;
  for (std::size_t n = 0; n < shard.size(); n += n < data + 64 || n + 64 > shard.size() ? 1 : 61) {
    cut["2.safetensors"].assign(shard, 0, n);
    CAPTURE(n);
    REQUIRE_FALSE(loads(cut));
  }
}

TEST_CASE("bad input: every bit flip in config and index, and many in a shard's header, gives a model or a status") {
  const Files whole = small_sharded();
  for (const char* name : {"config.json", "model.safetensors.index.json", "2.safetensors"}) {
    Files flipped = whole;
    std::string& text = flipped[name];
    const bool is_shard = text.size() > 8 && name[0] == '2';
    const std::size_t n_bits = 8 * (is_shard ? header_end(text) : text.size());
    for (std::size_t bit = 0; bit < n_bits; bit += is_shard ? 3 : 1) {
      text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << bit % 8));
      (void)loads(flipped);
      text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << bit % 8));
    }
  }
}

TEST_CASE("bad input: config values of the wrong JSON type are refused by key") {
  const char* const kWrong[] = {"\"x\"", "[]", "{}", "[1, 2]", "-1", "1e400", "-1e308", "0.5", "9007199254740993000", "true"};
  for (const char* fixture : {"v3-tiny", "v3-fp8-tiny", "v2-tiny", "qwen2-tiny", "llama3-tiny"}) {
    const Editable e(fixture);
    for (const Json::Member& member : e.config.as_object())
      for (const char* wrong : kWrong) {
        const std::string& key = member.first;
        Json config = e.config;
        const auto parsed = parse_json(wrong, "value");
        if (!parsed.ok()) continue;  // 1e400
        config.set(key, *parsed);
        const auto result = Config::parse(config);
        if (!result.ok()) CHECK_FALSE(result.status().message().empty());
        const bool is_size = member.second.is_int() && key != "bos_token_id" && key != "eos_token_id" &&
                             key != "pad_token_id" && key != "max_window_layers" && key != "sliding_window" &&
                             key != "ep_size" && key != "pretraining_tp" && key != "rope_theta" &&
                             key != "num_key_value_heads" && key != "routed_scaling_factor" && key != "seq_aux";
        CAPTURE(fixture);
        CAPTURE(key);
        CAPTURE(wrong);
        if (is_size) {
          CHECK_FALSE(result.ok());
          CHECK(names(result.status(), key));
        }
      }
  }
}

TEST_CASE("bad input: JSON that is too deep, not UTF-8 or no object is refused in every file") {
  const Files whole = small_sharded();
  const std::string deep_list = std::string(100'000, '[') + std::string(100'000, ']');
  std::string deep_object;
  for (int i = 0; i < 100'000; ++i) deep_object += "{\"a\":";
  for (const std::string& text : {deep_list, deep_object, std::string("{\"a\": \"\xff\xfe\"}"), std::string("{\"\xc0\x80\": 1}"),
                                  std::string("{\"a\": \"\xed\xa0\x80\"}"), std::string("null"), std::string("3"),
                                  std::string("[{}]"), std::string("{\"a\": 1} x"), std::string("{\"a\": NaN}"),
                                  std::string("\0\0\0", 3), std::string("{\"a\": 1}\0", 9)})
    for (const char* name : {"config.json", "model.safetensors.index.json", "generation_config.json"}) {
      Files broken = whole;
      broken[name] = text;
      CAPTURE(name);
      CAPTURE(text.substr(0, 20));
      CHECK_FALSE(loads(broken));
    }
}

TEST_CASE("bad input: sizes of 2^31 to 2^60 in the config are refused") {
  const Files whole = small_sharded();
  for (const char* key : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                          "head_dim", "num_key_value_heads", "max_position_embeddings"})
    for (const char* value : {"2147483648", "1152921504606846976", "18446744073709551616", "0", "-1", "2.5"}) {
      CAPTURE(key);
      CAPTURE(value);
      const Status status = load_files(with_config(whole, key, value)).status();
      CHECK(status.code() == Code::bad_file);
      CHECK(names(status, key));
    }
  // Allowed as such, but not what the tensors are.
  const Status status = load_files(with_config(whole, "vocab_size", "16777216")).status();
  CHECK(status.code() == Code::bad_file);
  CHECK(names(status, "lm_head.weight: shape [83, 45], wanted [16777216, 45]"));
}

TEST_CASE("bad input: many layers or experts that are not there end the search early") {
  Files files = with_config(small_sharded(), "num_hidden_layers", "4096");
  const Status layers = load_files(files).status();
  CHECK(layers.code() == Code::bad_file);
  CHECK(layers.message().size() < 8192);
  Editable e("v3-tiny");
  e.config.set("n_routed_experts", 65536);
  CHECK(e.status().code() == Code::bad_file);
}

TEST_CASE("bad input: an integer matrix, a vector as matrix, FP8 scales of wrong shape, dtype or absent, all in one message") {
  Editable e("v3-fp8-tiny");
  const std::string at = "model.layers.0.self_attn.";
  auto& o = e.tensors[at + "o_proj.weight"];
  o.type = DType::i8;
  auto& q_a = e.tensors[at + "q_a_proj.weight"];
  q_a.shape = Shape{q_a.shape.n_elements()};
  auto& scale = e.tensors[at + "kv_b_proj.weight_scale_inv"];
  REQUIRE(scale.shape.n_elements() > 1);
  scale.shape = Shape{1, scale.shape.n_elements()};
  scale.bytes.resize(static_cast<std::size_t>(4 * scale.shape.n_elements()));
  auto& other = e.tensors[at + "q_b_proj.weight_scale_inv"];
  other.type = DType::f16;
  other.bytes.resize(other.bytes.size() / 2);
  e.tensors.erase(at + "kv_a_proj_with_mqa.weight_scale_inv");
  const Status status = e.status();
  CHECK(status.code() == Code::bad_file);
  CHECK(names(status, "o_proj.weight: dtype I8, wanted BF16, F16, F32 or F8_E4M3"));
  CHECK(names(status, "q_a_proj.weight: shape ["));
  CHECK(names(status, "kv_b_proj.weight_scale_inv: shape"));
  CHECK(names(status, "q_b_proj.weight_scale_inv: dtype F16, wanted F32"));
  CHECK(names(status, "kv_a_proj_with_mqa.weight_scale_inv: missing"));
}

TEST_CASE("bad input: quantisations that are not ours are refused by name") {
  const Editable e("v3-fp8-tiny");
  const auto refused = [&](const char* key, Json value, const char* word) {
    Editable changed("v3-fp8-tiny");
    changed.config.find("quantization_config")->set(key, std::move(value));
    const Status status = changed.status();
    CAPTURE(key);
    CHECK(status.code() == Code::unsupported);
    CHECK(names(status, word));
  };
  refused("weight_block_size", Json::Array{64, 128}, "weight_block_size");
  refused("weight_block_size", nullptr, "weight_block_size");
  refused("weight_block_size", "128", "weight_block_size");
  refused("activation_scheme", "static", "static");
  refused("fmt", "e5m2", "e5m2");
  for (const char* method : {"gptq", "awq", "bitsandbytes", "compressed-tensors", ""})
    refused("quant_method", method, method);
}

TEST_CASE("bad input: a load cancelled at any call of progress stops and says so") {
  const Files files = Editable("v3-odd-tiny").files();
  int n_calls = 0;
  LoadOptions options;
  options.progress = [&](float) { return ++n_calls, true; };
  REQUIRE(load_files(files, options).ok());
  REQUIRE(n_calls > 5);
  for (int stop_at = 1; stop_at <= n_calls; ++stop_at) {
    CAPTURE(stop_at);
    int call = 0;
    options.progress = [&](float) { return ++call < stop_at; };
    CHECK(load_files(files, options).status().code() == Code::cancelled);
    CHECK(call == stop_at);  // not asked again
  }
}

TEST_CASE("bad input: NaN and infinite weights load; what they do to the logits is for the forward pass to say") {
  Editable e("llama-odd-tiny");
  auto& norm = e.tensors["model.norm.weight"];
  REQUIRE(norm.type == DType::f16);
  norm.bytes[1] = '\x7e';
  CHECK(e.status().ok());
}
