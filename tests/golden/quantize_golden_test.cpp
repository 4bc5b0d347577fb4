// Models written as GGUF: they compute what the checkpoint does, and are what llama.cpp's converter makes of it.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "lib/io/gguf.h"
#include "lib/model/quantize_model.h"
#include "tests/golden/golden_fixture.h"
#include "tests/lib/model/memory_output.h"

using namespace ponder::core;
using namespace ponder::test;

namespace {

const std::string kData = PONDER_TEST_DATA "/";

class Quantized {
 public:
  Quantized(const FileSource& source, const std::string& type, int n_threads = 2) {
    const auto pool = ThreadPool::create(n_threads).value();
    const ponder::kernels::Table table = ponder::kernels::make_table(test_isa());
    Context ctx;
    ctx.kernels = &table;
    ctx.pool = pool.get();
    QuantizeOptions options;
    options.type = type;
    auto done = quantize_model(ctx, source, file.output(), options);
    REQUIRE_MESSAGE(done.ok(), done.status().message());
    REQUIRE(file.committed);
    report = std::move(done).value();
    CHECK(report.file_bytes == file.text.size());
  }
  std::shared_ptr<const Model> model() const {
    auto loaded = Model::load(file.source(), {});
    REQUIRE_MESSAGE(loaded.ok(), loaded.status().message());
    return *loaded;
  }
  GgufCheckpoint checkpoint() const {
    auto opened = GgufCheckpoint::open(*file.source(), "model.gguf");
    REQUIRE_MESSAGE(opened.ok(), opened.status().message());
    return std::move(opened).value();
  }
  WrittenFile file;
  QuantizeReport report;
};

// Root of the mean square of the error of all logits of the third prompt, of 33 tokens, over that of the logits.
double logits_error(const Fixture& f, const Model& model) {
  const auto ids = values<TokenId>(f, "prompt.2.ids");
  const auto want = values<float>(f, "prompt.2.logits");
  Pass pass(model);
  KvCache kv = cache_for(model, ids.size());
  const Tensor got = pass.run(ids, kv);
  REQUIRE(got.n_rows * got.n_cols == want.size());
  double error = 0, all = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double w = want[i], g = got.row(i / got.n_cols)[i % got.n_cols];
    error += (g - w) * (g - w), all += w * w;
  }
  return std::sqrt(error / all);
}

}  // namespace

TEST_CASE("golden quantize: a model written in F32 has the logits of its checkpoint") {
  for (const char* name :
       {"v3-tiny", "v3-fp8-tiny", "v2-tiny", "v2lite-tiny", "qwen2-tiny", "qwen2-tied-tiny", "llama3-tiny", "v2-odd-tiny",
        "llama-odd-tiny"}) {
    CAPTURE(name);
    const Fixture f = load(name);
    const Quantized made(*folder_source(kData + "models/" + name), "f32");
    CHECK(made.model()->tokenizer_status().code() == Code::no_tokenizer);
    CHECK(logits_error(f, *made.model()) < (std::string(name) == "v3-fp8-tiny" ? 2e-4 : 2e-5));
  }
}

TEST_CASE("golden quantize: fewer bits, larger errors, and no more than these") {
  // Of random weights in rows of few blocks: a trained model errs less.
  const std::pair<std::string, double> limits[] = {{"bf16", 1e-6},  {"q8_0", 0.03},   {"q6_k", 0.03},
                                                   {"q5_k_m", 0.12}, {"q4_k_m", 0.15}, {"q2_k", 0.4}};
  const Fixture f = load("llama3-tiny");
  double last = 0;
  for (const auto& entry : limits) {
    const std::string& type = entry.first;
    CAPTURE(type);
    const Quantized made(*folder_source(kData + "models/llama3-tiny"), type);
    const double error = logits_error(f, *made.model());
    CHECK(error < entry.second);
    CHECK(error >= last);
    last = error * 0.8;
  }
}

TEST_CASE("golden quantize: tensors and keys are those of llama.cpp's converter") {
  for (const char* name : {"v3-tiny", "qwen2-tiny", "llama3-tiny"}) {
    CAPTURE(name);
    const auto folder = folder_source(kData + "gguf");
    const auto theirs = GgufCheckpoint::open(*folder, std::string(name) + ".bf16.gguf");
    REQUIRE(theirs.ok());
    const Quantized made(*folder_source(kData + "models/" + name), "bf16");
    const GgufCheckpoint ours = made.checkpoint();
    CHECK(ours.tensors().size() == theirs->tensors().size());
    for (const TensorInfo* want : theirs->tensors()) {
      CAPTURE(want->name);
      const TensorInfo* got = ours.find(want->name);
      REQUIRE(got);
      CHECK(got->type == want->type);
      CHECK(got->shape == want->shape);
      CHECK(std::ranges::equal(got->bytes, want->bytes));
    }
    for (const Gguf::Entry& want : theirs->first().metadata()) {
      if (want.key.starts_with("tokenizer.") || want.key.starts_with("general.")) continue;
      CAPTURE(want.key);
      const GgufValue* got = ours.find_value(want.key);
      REQUIRE(got);
      CHECK(got->describe() == want.value.describe());
    }
  }
}

TEST_CASE("golden quantize: a GGUF file written in its own types is the same model, bit by bit") {
  const auto source = path_source(kData + "gguf/llama3-tiny.bf16.gguf");
  const Quantized made(*source, "bf16");
  const GgufCheckpoint ours = made.checkpoint();
  const auto theirs = GgufCheckpoint::open(*source, "llama3-tiny.bf16.gguf");
  REQUIRE(theirs.ok());
  CHECK(ours.tensors().size() == theirs->tensors().size());
  for (const TensorInfo* want : theirs->tensors()) {
    const TensorInfo* got = ours.find(want->name);
    REQUIRE_MESSAGE(got, want->name);
    CHECK(std::ranges::equal(got->bytes, want->bytes));
  }
  for (const Gguf::Entry& want : theirs->first().metadata()) {
    if (!want.key.starts_with("tokenizer.")) continue;
    const GgufValue* got = ours.find_value(want.key);
    REQUIRE(got);
    CHECK(std::ranges::equal(got->bytes(), want.value.bytes()));
  }
}

TEST_CASE("golden quantize: any number of threads writes the same file") {
  const auto source = folder_source(kData + "models/v3-fp8-tiny");
  CHECK(Quantized(*source, "q4_k_m", 1).file.text == Quantized(*source, "q4_k_m", 3).file.text);
}
