// KV cache types: the logits of the fixtures beside those with an f32 cache.
#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "tests/golden/golden_fixture.h"

using namespace ponder::core;
using namespace ponder::test;

namespace {

std::shared_ptr<const Model> load_model(const std::string& name) {
  const std::string folder = name == "ponder-tiny-r1" ? PONDER_MODELS "/" : PONDER_TEST_DATA "/models/";
  auto model = Model::load(folder_source(folder + name), {});
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  return *model;
}

std::vector<float> logits(const Model& model, DType type, std::size_t chunk, Compute compute = Compute::exact) {
  const KvLayout layout = KvLayout::create(model.config(), type).value();
  constexpr std::size_t kTokens = 200;
  KvCache kv = KvCache::create(layout, kTokens).value();
  Pass pass(model, chunk, test_isa(), MlaForm::automatic, compute);
  std::vector<TokenId> ids(kTokens);
  for (std::size_t i = 0; i < kTokens; ++i) ids[i] = static_cast<TokenId>((i * i * 31 + 17 * i) % static_cast<std::size_t>(model.config().vocab_size));
  std::vector<float> all;
  for (std::size_t first = 0; first < kTokens; first += chunk) {
    const std::size_t n = std::min(chunk, kTokens - first);
    const Tensor rows = pass.run(std::span(ids).subspan(first, n), kv);
    all.insert(all.end(), rows.data, rows.data + n * rows.n_cols);
  }
  return all;
}

double relative_rms(const std::vector<float>& a, const std::vector<float>& b) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    error += (double{a[i]} - double{b[i]}) * (double{a[i]} - double{b[i]});
    size += double{b[i]} * double{b[i]};
  }
  return std::sqrt(error / size);
}

}  // namespace

// Root mean square of the change over that of the logits; measured at most 3e-4 (f16), 2e-3 (bf16), 2e-2 (fp8), and
// up to 0.13 where experts tip over between near equals.
TEST_CASE("kv types: rounding the cache moves the logits as little as documented") {
  const struct { DType type; double most; } cases[] = {
      {DType::f16, 1e-3}, {DType::bf16, 5e-3}, {DType::q8_0, 3e-2}, {DType::f8_e4m3, 5e-2}};
  for (const char* name : {"qwen2-tiny", "llama3-tiny", "v2lite-tiny", "v3-tiny", "ponder-tiny-r1"}) {
    const auto model = load_model(name);
    const auto want = logits(*model, DType::f32, 200);
    for (const auto& c : cases) {
      if (!KvLayout::create(model->config(), c.type).ok()) continue;
      const double error = relative_rms(logits(*model, c.type, 200), want);
      INFO(std::string(name) << " " << dtype_name(c.type) << " " << error);
      const bool tips_over = name == std::string("v3-tiny") || name == std::string("ponder-tiny-r1");
      CHECK(error <= (tips_over ? 0.2 : c.most));
      CHECK(error > 0);
    }
  }
}

TEST_CASE("kv types: exact compute has the same bits for any chunk size, fast compute is close to it") {
  for (const char* name : {"v2lite-tiny", "qwen2-tiny", "ponder-tiny-r1"}) {
    const auto model = load_model(name);
    for (DType type : {DType::bf16, DType::q8_0, DType::f8_e4m3}) {
      if (!KvLayout::create(model->config(), type).ok()) continue;
      CAPTURE(name);
      CAPTURE(dtype_name(type));
      const auto want = logits(*model, type, 200);
      for (std::size_t chunk : {1, 33}) {
        CHECK((logits(*model, type, chunk) == want));
        CHECK(relative_rms(logits(*model, type, chunk, Compute::fast), want) <= 0.05);
      }
    }
  }
}

TEST_CASE("kv types: rows that a type cannot hold are refused by name") {
  const auto dense = load_model("qwen2-tiny");
  CHECK(KvLayout::create(dense->config(), DType::f8_e4m3).status().message().find("MLA") != std::string::npos);
  CHECK(KvLayout::create(dense->config(), DType::i8).status().message().find("kv_type") != std::string::npos);
  Config odd = dense->config();
  odd.head_dim = 24;
  CHECK(KvLayout::create(odd, DType::q8_0).status().message().find("multiple of 32") != std::string::npos);
}
