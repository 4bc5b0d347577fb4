#include <limits>

#include "lib/text/pattern.h"
#include "tests/lib/model/random_adapter.h"

using namespace ponder::core;
using namespace ponder::test;

namespace {

struct Case {
  explicit Case(const std::string& fixture = "v3-tiny")
      : checkpoint(fixture),
        model(Model::load(folder_source(PONDER_TEST_DATA "/models/" + fixture), {}).value()),
        adapter(checkpoint, *model, 1, [](const std::string& layer) { return layer.find("layers.1.") != layer.npos; }) {}
  void refused(Code code, std::initializer_list<std::string_view> parts) {
    const Status status = adapter.try_load(model).status();
    CHECK_MESSAGE(status.code() == code, status.message());
    for (std::string_view part : parts) CHECK_MESSAGE(names(status, part), part << " in: " << status.message());
  }
  // Writes other tensors than `adapter.parts`.
  void write(const std::vector<TensorToWrite>& tensors) {
    adapter.files["adapter_model.safetensors"] = serialize_safetensors(tensors).value();
  }
  Editable checkpoint;
  std::shared_ptr<const Model> model;
  RandomAdapter adapter;
};

const std::string kLayer = "model.layers.1.self_attn.o_proj";
const std::string kName = "base_model.model." + kLayer;

}  // namespace

TEST_CASE("adapter config: scales of r, lora_alpha, use_rslora and the patterns") {
  const auto scale = [](Case& c, const std::string& layer) {
    c.adapter.build();
    const auto adapter = c.adapter.load(c.model);
    for (const Adapter::Part& part : adapter->parts())
      if (part.name == layer) return part.low_rank.scale;
    return 0.0f;
  };
  Case c;
  RandomAdapter::Part& part = c.adapter.parts.at(kLayer);
  part.rank = 4, part.a.assign(4 * part.n_in, 1.0f), part.b.assign(4 * part.n_out, 1.0f);
  Json ranks = *c.adapter.config.find("rank_pattern");
  ranks.set(kLayer, 4);
  c.adapter.config.set("rank_pattern", ranks);
  CHECK(scale(c, kLayer) == doctest::Approx(3.0 / 4));
  c.adapter.config.set("alpha_pattern", Json::Object{{"o_proj", 10}});
  CHECK(scale(c, kLayer) == doctest::Approx(10.0 / 4));
  c.adapter.config.set("alpha_pattern", Json::Object{{"_proj", 10}, {"self_attn.o_proj", 5}, {"o_proj", 7}});
  CHECK(scale(c, kLayer) == doctest::Approx(5.0 / 4));  // a key is whole parts of the name, the first one counts
  c.adapter.config.set("use_rslora", true);
  CHECK(scale(c, kLayer) == doctest::Approx(5.0 / 2));
  if (!has_regular_expressions()) return;  // these are no simple ones
  c.adapter.config.set("alpha_pattern", Json::Object{{"^o_proj", 9}, {"layers\\.[0-9]+\\.self_attn\\.(o|q)_proj", 8}});
  CHECK(scale(c, kLayer) == doctest::Approx(8.0 / 2));
}

TEST_CASE("adapter config: what is missing, of the wrong type or unknown is named") {
  Case c;
  const Json good = c.adapter.config;
  const auto with = [&](std::string_view key, Json value) {
    c.adapter.config = good;
    c.adapter.config.set(key, std::move(value));
    c.adapter.build();
  };
  with("peft_type", "IA3"), c.refused(Code::unsupported, {"peft_type", "IA3"});
  with("use_dora", true), c.refused(Code::unsupported, {"use_dora"});
  with("bias", "all"), c.refused(Code::unsupported, {"bias", "all"});
  with("modules_to_save", Json::Array{"lm_head"}), c.refused(Code::unsupported, {"modules_to_save"});
  with("init_lora_weights", "pissa_niter_4"), c.refused(Code::unsupported, {"pissa_niter_4"});
  with("r", nullptr), c.refused(Code::bad_file, {"r is missing"});
  with("r", 2.5), c.refused(Code::bad_file, {"r is 2.5"});
  with("lora_alpha", "8"), c.refused(Code::bad_file, {"lora_alpha"});
  with("alpha_pattern", Json::Object{{"o_proj", -1}}), c.refused(Code::bad_file, {"alpha_pattern[\"o_proj\"]"});
  with("lora_alpha", 1e300), c.refused(Code::bad_file, {"lora_alpha"});
  with("rank_pattern", Json::Object{{"o_proj", 1e30}}), c.refused(Code::bad_file, {"rank_pattern[\"o_proj\"]"});
  with("use_rslora", 1), c.refused(Code::bad_file, {"use_rslora"});
  with("modules_to_save", nullptr);
  CHECK(c.adapter.try_load(c.model).ok());
  c.adapter.files["adapter_config.json"] = "[]";
  c.refused(Code::bad_file, {"adapter_config.json"});
  c.adapter.files.erase("adapter_config.json");
  c.refused(Code::not_found, {"adapter_config.json"});
}

TEST_CASE("adapter: tensors that do not fit the model are named") {
  Case c;
  const RandomAdapter::Part& part = c.adapter.parts.at(kLayer);
  const auto rank = static_cast<std::int64_t>(part.rank), n_in = static_cast<std::int64_t>(part.n_in),
             n_out = static_cast<std::int64_t>(part.n_out);
  std::vector<float> values(100000, 0.5f);
  const auto tensor = [&](const std::string& name, std::int64_t rows, std::int64_t cols, DType type = DType::f32) {
    const std::size_t n_bytes = static_cast<std::size_t>(rows * cols) * element_bytes(type);
    return TensorToWrite{name, type, Shape{rows, cols}, std::as_bytes(std::span(values)).first(n_bytes)};
  };
  const TensorToWrite a = tensor(kName + ".lora_A.weight", rank, n_in), b = tensor(kName + ".lora_B.weight", n_out, rank);
  c.write({a, b});
  CHECK(c.adapter.try_load(c.model).ok());
  c.write({a});
  c.refused(Code::bad_file, {kName + ".lora_A.weight", "no " + kName + ".lora_B.weight"});
  c.write({a, tensor(kName + ".lora_B.weight", n_out + 1, rank)});
  c.refused(Code::bad_file, {kName + ".lora_B.weight: shape [" + std::to_string(n_out + 1), "wants [" + std::to_string(n_out)});
  c.write({tensor(kName + ".lora_A.weight", rank, n_in - 1), b});
  c.refused(Code::bad_file, {kName + ".lora_A.weight: shape", "wants [r, " + std::to_string(n_in)});
  c.write({tensor(kName + ".lora_A.weight", rank + 1, n_in), tensor(kName + ".lora_B.weight", n_out, rank + 1)});
  c.refused(Code::bad_file, {"adapter_config.json wants rank " + std::to_string(rank)});
  for (const char* layer : {"model.layers.99.self_attn.o_proj", "model.layers.1.self_attn.k_proj", "model.layers.1.mlp.gate",
                            "model.layers.1.input_layernorm", "model.embed_tokens", "transformer.h.0.attn", "model.layers.x.y"}) {
    const std::string name = std::string("base_model.model.") + layer + ".lora_A.weight";
    c.write({tensor(name, 2, 4)});
    c.refused(Code::bad_file, {name, "no linear layer"});
  }
  for (const char* name : {"base_model.model.model.embed_tokens.lora_embedding_A", "base_model.model.model.layers.1.self_attn.o_proj.bias",
                           "base_model.model.model.layers.1.self_attn.o_proj.lora_magnitude_vector"}) {
    c.write({a, b, tensor(name, 2, 4)});
    c.refused(Code::unsupported, {name});
  }
  c.write({tensor("model.layers.1.self_attn.o_proj.lora_A.weight", 2, 4)});
  c.refused(Code::bad_file, {"does not begin with base_model.model."});
  c.write({a, b, tensor(kName + ".lora_A.default.weight", rank, n_in)});
  c.refused(Code::bad_file, {"same layer"});
  c.write({a, tensor(kName + ".lora_B.weight", n_out, rank, DType::i32)});
  c.refused(Code::unsupported, {kName + ".lora_B.weight: I32"});
  values[static_cast<std::size_t>(rank * n_in) - 1] = std::numeric_limits<float>::infinity();
  c.write({a, b});
  c.refused(Code::numeric, {kName + ".lora_"});
  c.write({});
  c.refused(Code::bad_file, {"no tensors"});
  c.adapter.build();
  c.adapter.files["adapter_model.safetensors"].resize(200);
  CHECK(c.adapter.try_load(c.model).status().code() == Code::bad_file);
  c.adapter.files.erase("adapter_model.safetensors");
  c.refused(Code::not_found, {"adapter_model.safetensors"});
}

TEST_CASE("adapter: halves stay in their type, and the fingerprint knows values and scale") {
  Case c;
  const auto first = c.adapter.load(c.model);
  CHECK(first->parts().size() == c.adapter.parts.size());
  CHECK(first->max_rank() == 4);
  CHECK(c.adapter.load(c.model)->fingerprint() == first->fingerprint());
  c.adapter.config.set("lora_alpha", 4);
  c.adapter.build();
  CHECK(c.adapter.load(c.model)->fingerprint() != first->fingerprint());
  c.adapter.config.set("lora_alpha", 3);
  c.adapter.parts.at(kLayer).b.back() += 1;
  c.adapter.build();
  CHECK(c.adapter.load(c.model)->fingerprint() != first->fingerprint());
}
