// Weights converted while a model loads: it computes, bit for bit, what the file computes that quantize_model writes.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "lib/model/quantize_model.h"
#include "tests/golden/golden_fixture.h"
#include "tests/lib/model/memory_output.h"

using namespace ponder::core;
using namespace ponder::test;

namespace {

const std::string kData = PONDER_TEST_DATA "/";

struct Setup {
  std::unique_ptr<ThreadPool> pool;
  ponder::kernels::Table table = ponder::kernels::make_table(test_isa());
  Context ctx;
  explicit Setup(int n_threads = 2) : pool(ThreadPool::create(n_threads).value()) {
    ctx.kernels = &table;
    ctx.pool = pool.get();
  }
  std::shared_ptr<const Model> load(std::shared_ptr<const FileSource> source, const std::string& type) const {
    LoadOptions options;
    options.weight_type = type;
    options.context = &ctx;
    auto model = Model::load(std::move(source), options);
    REQUIRE_MESSAGE(model.ok(), model.status().message());
    return *model;
  }
};

struct Logits {
  std::vector<float> values;
  explicit Logits(const Model& model) {
    std::vector<TokenId> ids;
    for (TokenId i = 0; i < 40; ++i) ids.push_back(i * 37 % static_cast<TokenId>(model.config().vocab_size));
    Pass pass(model);
    KvCache kv = cache_for(model, ids.size());
    const Tensor all = pass.run(ids, kv);
    for (std::size_t t = 0; t < all.n_rows; ++t) values.insert(values.end(), all.row(t), all.row(t) + all.n_cols);
  }
  bool operator==(const Logits& other) const {
    return values.size() == other.values.size() &&
           std::memcmp(values.data(), other.values.data(), values.size() * sizeof(float)) == 0;
  }
};

// Of the file in memory. `file` must outlive the model.
std::shared_ptr<const Model> load_quantized(const Setup& s, const FileSource& source, const std::string& type, WrittenFile& file) {
  QuantizeOptions options;
  options.type = type;
  const auto report = quantize_model(s.ctx, source, file.output(), options);
  REQUIRE_MESSAGE(report.ok(), report.status().message());
  auto model = Model::load(file.source(), {});
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  return *model;
}

void check_same(const std::string& path, std::initializer_list<const char*> types) {
  const Setup s;
  CAPTURE(path);
  const auto source = path_source(kData + path);
  for (const char* type : types) {
    CAPTURE(type);
    WrittenFile file;
    const auto from_file = load_quantized(s, *source, type, file);
    const auto in_memory = s.load(source, type);
    CHECK(in_memory->summary().weight_bytes == from_file->summary().weight_bytes);
    CHECK(in_memory->summary().bytes_by_dtype == from_file->summary().bytes_by_dtype);
    CHECK(in_memory->summary().bytes_by_component == from_file->summary().bytes_by_component);
    CHECK(Logits(*in_memory) == Logits(*from_file));
  }
}

}  // namespace

TEST_CASE("golden weight_type: MLA checkpoints in memory are the file that quantize writes, bit for bit") {
  check_same("models/v3-tiny", {"f32", "bf16", "q8_0", "q4_k_m", "q2_k"});
  check_same("models/v3-fp8-tiny", {"f32", "f16", "q8_0", "q4_k_m", "iq4_xs"});
  for (const char* name : {"v2-tiny", "v2lite-tiny", "v2-odd-tiny"})
    check_same(std::string("models/") + name, {"q8_0", "q4_k_m"});
}

TEST_CASE("golden weight_type: dense checkpoints in memory are the file that quantize writes, bit for bit") {
  check_same("models/qwen2-tiny", {"f32", "bf16", "q8_0", "q4_k_m", "q6_k", "q5_1"});
  check_same("models/llama3-tiny", {"f32", "bf16", "q8_0", "q4_k_m", "q3_k_m", "iq4_nl"});
  for (const char* name : {"qwen2-tied-tiny", "llama-odd-tiny"}) check_same(std::string("models/") + name, {"q8_0", "q4_k_m"});
}

TEST_CASE("golden weight_type: GGUF files in memory are the file that quantize writes, bit for bit") {
  check_same("gguf/v3-tiny.bf16.gguf", {"bf16", "q8_0", "q4_k_m"});
  check_same("gguf/llama3-kq-tiny.gguf", {"q4_k_m", "q8_0", "f32"});
  check_same("gguf/qwen2-tiny.bf16.gguf", {"q8_0"});
}

TEST_CASE("golden weight_type: any number of threads makes the same model") {
  const auto source = folder_source(kData + "models/v3-fp8-tiny");
  CHECK(Logits(*Setup(1).load(source, "q4_k_m")) == Logits(*Setup(3).load(source, "q4_k_m")));
}
