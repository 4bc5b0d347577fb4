// Weights converted while a model loads: what stays, what is said, and how it ends early. What such models compute:
// tests/golden.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "lib/io/gguf.h"
#include "lib/ops/context.h"
#include "tests/lib/model/editable_checkpoint.h"

using namespace ponder::core;
using namespace ponder::test;

namespace {

const std::string kModels = PONDER_TEST_DATA "/models/";

struct Setup {
  std::unique_ptr<ThreadPool> pool = ThreadPool::create(2).value();
  ponder::kernels::Table table = ponder::kernels::make_table(ponder::kernels::highest_isa());
  Context ctx;
  LoadOptions options;
  explicit Setup(const char* type = "q8_0") {
    ctx.kernels = &table;
    ctx.pool = pool.get();
    options.weight_type = type;
    options.context = &ctx;
  }
};

bool warned(const Model& model, std::string_view text) {
  return std::ranges::any_of(model.load_report().warnings, [&](const std::string& w) { return w.find(text) != w.npos; });
}

std::int64_t bytes_of(const Model& model, std::string_view type) {
  for (const auto& [name, bytes] : model.summary().bytes_by_dtype)
    if (name == type) return bytes;
  return 0;
}

}  // namespace

TEST_CASE("weight_type: sizes are those of the new weights, names and tokens those of the checkpoint") {
  Editable e("qwen2-tiny");
  e.config.set("bos_token_id", 3);
  e.config.set("eos_token_id", Json::Array{5, 7});
  const Files files = e.files();
  const auto source = source_of(files);
  const Setup s;
  const auto stored = Model::load(source, {}).value(), made = Model::load(source, s.options).value();
  CHECK(made->summary().n_parameters == stored->summary().n_parameters);
  CHECK(made->summary().weight_bytes < stored->summary().weight_bytes * 6 / 10);
  CHECK(bytes_of(*made, "BF16") == 0);
  CHECK(bytes_of(*made, "Q8_0") > made->summary().weight_bytes * 9 / 10);
  CHECK(made->config().architecture_name == stored->config().architecture_name);
  CHECK(made->config().torch_dtype == stored->config().torch_dtype);
  CHECK(made->config().bos_token_id == 3);
  CHECK(made->config().eos_token_ids == std::vector<std::int32_t>{5, 7});
  CHECK(made->fingerprint() != stored->fingerprint());
  CHECK(made->fingerprint() == Model::load(source, s.options).value()->fingerprint());
}

TEST_CASE("weight_type: the tokenizer, template and sampling of a folder are kept") {
  const auto source = folder_source(PONDER_MODELS "/ponder-tiny-r1");
  const auto stored = Model::load(source, {}).value(), made = Model::load(source, Setup("q4_k_m").options).value();
  REQUIRE(made->tokenizer());
  CHECK(made->tokenizer()->encode("12+3", {}).value() == stored->tokenizer()->encode("12+3", {}).value());
  CHECK(made->chat_template() != nullptr);
  CHECK(made->config().eos_token_ids == stored->config().eos_token_ids);
  CHECK(made->generation_config().temperature == stored->generation_config().temperature);
  CHECK(warned(*made, "are no whole blocks, written as "));
}

TEST_CASE("weight_type: the MTP layer is left out, with a warning") {
  const auto made = Model::load(folder_source(kModels + "v3-fp8-tiny"), Setup().options).value();
  CHECK(made->weights().mtp == nullptr);
  CHECK(warned(*made, "(multi-token prediction) are not used"));
}

TEST_CASE("weight_type: tensors of a GGUF file that have the type stay in the file, and the file is let go of without any") {
  const std::string path = PONDER_TEST_DATA "/gguf/llama3-kq-tiny.gguf";
  const auto made = Model::load(path_source(path), Setup("q4_k_m").options).value();
  REQUIRE(made->weights().files.size() == 1);
  const std::span<const std::byte> file = made->weights().files[0].bytes;
  const auto in_file = [&](const Weight& w) { return w.data >= file.data() && w.data < file.data() + file.size(); };
  std::size_t n_q4_k = 0;
  for (const LayerWeights& layer : made->weights().layers)
    for (const Weight* w : {&layer.self_attn.q_proj, &layer.self_attn.o_proj, &layer.mlp.gate_proj})
      if (w->type == DType::q4_k) {
        ++n_q4_k;
        CHECK(in_file(*w));
      }
  CHECK(n_q4_k > 0);
  const auto other = Model::load(path_source(path), Setup("q8_0").options).value();
  CHECK(other->weights().files.empty());
  CHECK(warned(*other, "were quantised already, in Q4_K, and lose once more"));
}

TEST_CASE("weight_type: progress rises to 1, and a refusal at any moment cancels") {
  const auto source = folder_source(kModels + "v3-fp8-tiny");
  Setup s;
  int n_calls = 0;
  float last = 0;
  s.options.progress = [&](float f) { return ++n_calls, f >= last && f <= 1 && (last = f, true); };
  REQUIRE(Model::load(source, s.options).ok());
  CHECK(last == 1.0f);
  CHECK(n_calls > 20);
  for (int n = 0; n < n_calls; n += 5) {
    int calls = 0;
    s.options.progress = [&](float) { return calls++ < n; };
    CHECK(Model::load(source, s.options).status().code() == Code::cancelled);
    CHECK(calls == n + 1);
  }
}

TEST_CASE("weight_type: a weight that is not finite is an error with its tensor, row and column") {
  Editable e("v3-tiny");
  auto& tensor = e.tensors["model.layers.1.mlp.experts.2.up_proj.weight"];
  REQUIRE(tensor.type == DType::bf16);
  const auto rows = static_cast<std::size_t>(tensor.shape[0]), cols = static_cast<std::size_t>(tensor.shape[1]);
  const std::uint16_t nan = 0x7fc0;
  std::memcpy(tensor.bytes.data() + 2 * (3 * cols + 7), &nan, 2);
  const Files files = e.files();
  const Status status = load_files(files, Setup().options).status();
  CHECK(status.code() == Code::numeric);
  CHECK(names(status, "blk.1.ffn_up_exps.weight: row " + std::to_string(2 * rows + 3) + ", column 7 is nan"));
  CHECK(load_files(files).ok());
}

TEST_CASE("weight_type: what the form of GGUF cannot hold is refused by its key, and loads as it lies") {
  Editable e("v3-tiny");
  Json scaling = *e.config.find("rope_scaling");
  scaling.set("mscale", 0.5);
  e.config.set("rope_scaling", std::move(scaling));
  const Files files = e.files();
  const Status status = load_files(files, Setup().options).status();
  CHECK(status.code() == Code::unsupported);
  CHECK(status.message().starts_with("weight_type: config.json: rope_scaling.mscale other than mscale_all_dim"));
  CHECK(load_files(files).ok());
}

TEST_CASE("weight_type: an unknown type is refused with the list") {
  const Status status = Model::load(folder_source(kModels + "qwen2-tiny"), Setup("q9").options).status();
  CHECK(status.code() == Code::invalid_argument);
  CHECK(status.message().starts_with("weight_type: type 'q9', want one of f32, "));
}
