#include <doctest/doctest.h>

#include <cstring>
#include <map>
#include <string>

#include "lib/io/mapped_file.h"
#include "tests/lib/model/editable_checkpoint.h"

using namespace ponder::core;
using ponder::test::Editable;
using ponder::test::names;

namespace {

const std::string kModels = PONDER_TEST_DATA "/models/";

}  // namespace

TEST_CASE("every fixture loads") {
  for (const char* name : {"v2lite-tiny", "v2-tiny", "v3-tiny", "v3-fp8-tiny", "qwen2-tiny", "qwen2-tied-tiny",
                           "llama3-tiny"}) {
    CAPTURE(name);
    const auto source = folder_source(kModels + name);
    const auto model = Model::load(source, {});
    CAPTURE(model.status().message());
    REQUIRE(model.ok());
    const Model& m = **model;
    CHECK(m.weights().layers.size() == static_cast<std::size_t>(m.config().num_hidden_layers));
    CHECK(m.tokenizer_status().code() == Code::no_tokenizer);
    CHECK(m.load_report().warnings.empty());
    CHECK((m.weights().mtp != nullptr) == (m.config().num_nextn_predict_layers > 0));
    const auto inspection = Model::inspect(*source);
    REQUIRE(inspection.ok());
    CHECK(inspection->summary.n_parameters == m.summary().n_parameters);
    CHECK(inspection->summary.weight_bytes == m.summary().weight_bytes);
    CHECK((*Model::load(source, {}))->fingerprint() == m.fingerprint());
  }
}

TEST_CASE("missing, mis-shaped and mis-typed tensors are reported together") {
  Editable e("v3-tiny");
  e.tensors.erase("model.norm.weight");
  e.tensors["lm_head.weight"].shape = Shape{64, 320};
  auto& norm = e.tensors["model.layers.0.input_layernorm.weight"];
  norm.type = DType::i16;
  const Status status = e.status();
  CHECK(status.code() == Code::bad_file);
  CHECK(names(status, "model.norm.weight: missing"));
  CHECK(names(status, "lm_head.weight: shape [64, 320], wanted [320, 64]"));
  CHECK(names(status, "model.layers.0.input_layernorm.weight: dtype I16"));
}

TEST_CASE("a bf16 e_score_correction_bias is accepted") {
  Editable e("v3-tiny");
  auto& bias = e.tensors["model.layers.1.mlp.gate.e_score_correction_bias"];
  REQUIRE(bias.type == DType::f32);
  std::string half;
  for (std::size_t i = 0; i < bias.bytes.size(); i += 4) half += bias.bytes.substr(i + 2, 2);  // truncated
  bias.type = DType::bf16;
  bias.bytes = half;
  CHECK(e.status().ok());
}

TEST_CASE("an fp8 matrix without its scales is refused") {
  Editable e("v3-fp8-tiny");
  e.tensors.erase("model.layers.0.mlp.up_proj.weight_scale_inv");
  const Status status = e.status();
  CHECK(status.code() == Code::bad_file);
  CHECK(names(status, "up_proj.weight_scale_inv: missing"));
}

TEST_CASE("progress rises to 1, and a refusal cancels") {
  Editable e("qwen2-tiny");
  e.build();
  LoadOptions options;
  float last = 0;
  options.progress = [&](float f) { return f >= last && (last = f, true); };
  CHECK(e.load(options).ok());
  CHECK(last == 1.0f);
  for (int n = 0; n < 3; ++n) {
    int left = n;
    options.progress = [&](float) { return left-- > 0; };
    CHECK(e.load(options).status().code() == Code::cancelled);
  }
}

TEST_CASE("every truncation and many bit flips give a status") {
  Editable e("qwen2-tiny");
  e.build();
  const std::string whole = e.weights;
  std::uint64_t header = 0;
  std::memcpy(&header, whole.data(), 8);
  const std::size_t data = 8 + header;
  for (std::size_t n = 0; n < data; n += 3) {
    e.weights = whole.substr(0, n);
    REQUIRE_FALSE(e.load().ok());
  }
  for (std::size_t i = 0; i < 200; ++i) {
    e.weights = whole.substr(0, data + (whole.size() - data) * i / 200);
    REQUIRE_FALSE(e.load().ok());
  }
  for (std::size_t bit = 0; bit < 8 * data; bit += 13) {
    e.weights = whole;
    e.weights[bit / 8] = static_cast<char>(e.weights[bit / 8] ^ (1 << bit % 8));
    (void)e.load().ok();  // metadata may still fit; no crash is what counts
  }
}

TEST_CASE("random models") {
  Editable e("v3-tiny");
  for (const DType type : {DType::f32, DType::f16, DType::bf16, DType::f8_e4m3}) {
    const auto model = Model::random(e.config, type, 2, 7);
    REQUIRE(model.ok());
    CHECK((*model)->config().num_hidden_layers == 2);
    CHECK((*model)->weights().layers[1].self_attn.o_proj.type == type);
    CHECK((*model)->fingerprint() == (*Model::random(e.config, type, 2, 7))->fingerprint());
    CHECK((*model)->fingerprint() != (*Model::random(e.config, type, 2, 8))->fingerprint());
  }
  CHECK(Model::random(e.config, DType::i8, 0, 1).status().code() == Code::invalid_argument);
}

TEST_CASE("a missing shard is named") {
  std::vector<std::pair<std::string, std::string>> files;
  for (const char* name : {"config.json", "model.safetensors.index.json", "model-00001-of-000003.safetensors",
                           "model-00002-of-000003.safetensors"})
    files.emplace_back(name, std::string((*read_file(kModels + "v3-tiny/" + name, 1 << 24))));
  std::vector<MemoryFile> memory;
  for (const auto& [name, text] : files) memory.push_back({name, std::as_bytes(std::span(text))});
  const Status status = Model::load(memory_source(memory), {}).status();
  CHECK_FALSE(status.ok());
  CHECK(names(status, "model-00003-of-000003.safetensors"));
}

TEST_CASE("scales that are not aligned in the file are copied") {
  Editable e("v3-fp8-tiny");
  e.tensors["a"] = {DType::u8, Shape{1}, "x"};  // first in the file: shifts every tensor by one byte
  e.build();
  const auto model = e.load();
  REQUIRE(model.ok());
  CHECK(reinterpret_cast<std::uintptr_t>((*model)->weights().layers[0].self_attn.o_proj.scale_inv) % 4 == 0);
  CHECK((*model)->load_report().warnings.size() == 1);
}
