// Two ways to the same logits: MLA absorbed and expanded, compute exact and fast.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <string>

#include "lib/io/file_source.h"
#include "lib/model/forward.h"

using namespace ponder::core;
namespace kernels = ponder::kernels;

namespace {

struct Way {
  Compute compute = Compute::exact;
  MlaForm mla_form = MlaForm::automatic;
  std::size_t chunk = 512;
  bool bf16_dots = false;  // take the kernels that round activations, also where they are the slower ones
  int n_threads = 2;
  std::shared_ptr<const ops::Onednn> onednn = nullptr;
};

std::shared_ptr<const Model> load(const std::string& name) {
  auto model = Model::load(folder_source(std::string(PONDER_TEST_DATA) + "/models/" + name), {});
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  return *model;
}

std::vector<TokenId> random_ids(const Model& model, std::size_t n) {
  std::vector<TokenId> ids(n);
  std::uint64_t state = 5;
  for (TokenId& id : ids) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    id = static_cast<TokenId>((state >> 33) % static_cast<std::uint64_t>(model.config().vocab_size));
  }
  return ids;
}

// Logits of all positions, [ids, vocab_size].
std::vector<float> logits(const Model& model, const std::vector<TokenId>& ids, const Way& way) {
  const auto pool = ThreadPool::create(way.n_threads).value();
  kernels::Table table = kernels::make_table(kernels::highest_isa());
  if (way.bf16_dots) {
    table.matmul_bf16_fast = kernels::pick(kernels::matmul_bf16_fast_impls(), kernels::highest_isa());
    table.matmul_fp8_fast = kernels::pick(kernels::matmul_fp8_fast_impls(), kernels::highest_isa());
    table.attend_bf16_dots = kernels::pick(kernels::attend_bf16_dots_impls(), kernels::highest_isa());
  }
  Context ctx;
  ctx.kernels = &table;
  ctx.pool = pool.get();
  ctx.compute = way.compute;
  ctx.onednn = way.onednn.get();
  Forward forward =
      Forward::create(model, ctx, {.max_rows = way.chunk, .max_logits_rows = way.chunk, .mla_form = way.mla_form}).value();
  const Config& c = model.config();
  KvCache kv = KvCache::create({static_cast<std::size_t>(c.num_hidden_layers), static_cast<std::size_t>(c.kv_row_elements()),
                                DType::f32}, ids.size()).value();
  std::vector<float> all;
  for (std::size_t first = 0; first < ids.size(); first += way.chunk) {
    const std::size_t n = std::min(way.chunk, ids.size() - first);
    std::vector<std::size_t> rows(n);
    for (std::size_t i = 0; i < n; ++i) rows[i] = i;
    const SequenceRows sequence{&kv, 0, n};
    const Status status = forward.run({std::span(ids).subspan(first, n), {&sequence, 1}, rows, nullptr});
    REQUIRE_MESSAGE(status.ok(), status.message());
    const Tensor got = forward.logits();
    for (std::size_t i = 0; i < n; ++i) all.insert(all.end(), got.row(i), got.row(i) + got.n_cols);
  }
  return all;
}

// Largest |a - b| / (1 + |b|).
double worst(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double worst_ratio = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double ratio = std::abs(double{a[i]} - double{b[i]}) / (1 + std::abs(double{b[i]}));
    if (!(ratio <= worst_ratio)) worst_ratio = ratio;
  }
  return worst_ratio;
}

// Root mean square of a - b over that of b.
double relative_rms(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(double{a[i]} - double{b[i]}, 2);
    size += std::pow(double{b[i]}, 2);
  }
  return std::sqrt(difference / size);
}

}  // namespace

TEST_CASE("MLA: absorbed and expanded give the same logits in long contexts and at every chunk border") {
  for (const char* name : {"v2lite-tiny", "v2-tiny", "v3-tiny", "v3-fp8-tiny"}) {
    CAPTURE(name);
    const auto model = load(name);
    const auto ids = random_ids(*model, 330);  // several blocks of the cache and more tiles than one
    const auto want = logits(*model, ids, {.mla_form = MlaForm::absorbed});
    for (std::size_t chunk : {512, 1, 31, 32, 33, 63, 64, 65, 129, 200}) {
      CAPTURE(chunk);
      CHECK(worst(logits(*model, ids, {.mla_form = MlaForm::expanded, .chunk = chunk}), want) <= 2e-4);
    }
  }
}

TEST_CASE("fast compute: logits within the documented error of exact compute, also where activations are rounded to bf16") {
  for (const char* name : {"v2lite-tiny", "v2-tiny", "v3-tiny", "v3-fp8-tiny", "qwen2-tiny", "qwen2-tied-tiny", "llama3-tiny"}) {
    CAPTURE(name);
    const auto model = load(name);
    const auto ids = random_ids(*model, 250);
    const auto want = logits(*model, ids, {});
    for (std::size_t chunk : {512, 100, 13, 1}) {
      CAPTURE(chunk);
      const double plain = relative_rms(logits(*model, ids, {.compute = Compute::fast, .chunk = chunk}), want);
      const double rounded = relative_rms(logits(*model, ids, {.compute = Compute::fast, .chunk = chunk, .bf16_dots = true}), want);
      CHECK(plain <= 1e-5);
      // Mixtures of experts with random weights: rounding tips the choice between nearly equal experts.
      CHECK(rounded <= (model->config().n_routed_experts > 0 ? 0.15 : 0.01));
    }
  }
}

TEST_CASE("fast compute: the same bits for any number of threads") {
  for (const char* name : {"v3-fp8-tiny", "qwen2-tiny"}) {
    CAPTURE(name);
    const auto model = load(name);
    const auto ids = random_ids(*model, 250);
    const auto one = logits(*model, ids, {.compute = Compute::fast, .n_threads = 1});
    for (int n_threads : {2, 4}) CHECK((logits(*model, ids, {.compute = Compute::fast, .n_threads = n_threads}) == one));
  }
}

#ifdef PONDER_ONEDNN_FOLDER
TEST_CASE("oneDNN module: a bf16 prefill with it is within the error of fast compute, and it is used") {
  ::setenv("PONDER_BACKEND_DIR", PONDER_ONEDNN_FOLDER, 1);
  const auto module = ops::Onednn::load();
  REQUIRE_MESSAGE(module.ok(), module.status().message());
  for (const char* name : {"v2lite-tiny", "qwen2-tiny", "llama3-tiny"}) {
    CAPTURE(name);
    const auto model = load(name);
    const auto ids = random_ids(*model, 250);
    const auto own = logits(*model, ids, {.compute = Compute::fast});
    const auto with = logits(*model, ids, {.compute = Compute::fast, .onednn = *module});
    CHECK(relative_rms(with, own) <= 0.02);
    // Where oneDNN has no bf16 (CPUs without AVX-512 BF16) our kernels do it, with the same bits as without the module.
    if (kernels::isa_supported(kernels::Isa::avx512bf16)) CHECK((with != own));
    CHECK((logits(*model, ids, {.onednn = *module}) == logits(*model, ids, {})));  // exact compute never uses it
  }
}
#endif

#ifndef _WIN32  // no modules there yet
TEST_CASE("oneDNN module: a missing one is a status, not a failure, and never the current directory is searched") {
  ::setenv("PONDER_BACKEND_DIR", ".", 1);
  CHECK(ops::Onednn::load().status().code() == Code::not_found);
  ::setenv("PONDER_BACKEND_DIR", "/nonexistent", 1);
  CHECK(ops::Onednn::load().status().code() == Code::not_found);
}
#endif
