// Fast decode over contexts that are split into ranges: against exact compute over the same cache.
#include <doctest/doctest.h>

#include <cmath>

#include "lib/io/file_source.h"
#include "lib/model/attention_split.h"
#include "lib/model/forward.h"

using namespace ponder::core;
namespace kernels = ponder::kernels;

namespace {

std::shared_ptr<const Model> load(const char* name) {
  auto model = Model::load(folder_source(std::string(PONDER_TEST_DATA) + "/models/" + name), {});
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  return *model;
}

// Rows of a cache without a prefill: values of about the size that norms leave.
KvCache filled_cache(const Model& model, DType type, std::size_t n_tokens, std::uint64_t seed) {
  const KvLayout layout = KvLayout::create(model.config(), type).value();
  KvCache kv = KvCache::create(layout, n_tokens + 64).value();
  REQUIRE(kv.prepare(n_tokens).ok());
  kernels::Table table = kernels::make_table(kernels::highest_isa());
  Context ctx;
  ctx.kernels = &table;
  std::vector<float> values(layout.row_elements);
  for (std::size_t layer = 0; layer < layout.n_layers; ++layer)
    for (std::size_t t = 0; t < n_tokens; ++t) {
      for (float& value : values) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        value = static_cast<float>(seed >> 40) * 0x1p-22f - 2.0f;
      }
      ops::kv_store(ctx, layout.format(), kv.row(layer, t), values.data());
    }
  kv.commit(n_tokens);
  return kv;
}

struct Way {
  Compute compute = Compute::fast;
  int n_threads = 2;
  bool bf16_dots = false;
};

// Logits of a pass that adds `n_new` tokens to each cache, which are as before afterwards.
std::vector<float> step(const Model& model, std::vector<KvCache>& caches, std::size_t n_new, const Way& way) {
  const auto pool = ThreadPool::create(way.n_threads).value();
  kernels::Table table = kernels::make_table(kernels::highest_isa());
  table.attend_bf16_dots = way.bf16_dots ? kernels::pick(kernels::attend_bf16_dots_impls(), kernels::highest_isa()) : nullptr;
  Context ctx;
  ctx.kernels = &table;
  ctx.pool = pool.get();
  ctx.compute = way.compute;
  const std::size_t n = n_new * caches.size();
  Forward forward = Forward::create(model, ctx, {.max_rows = n, .max_logits_rows = n}).value();
  std::vector<TokenId> ids;
  std::vector<std::size_t> rows;
  std::vector<SequenceRows> sequences;
  std::vector<std::size_t> before;
  for (KvCache& kv : caches) {
    sequences.push_back({&kv, ids.size(), n_new});
    before.push_back(kv.n_tokens());
    for (std::size_t i = 0; i < n_new; ++i) rows.push_back(ids.size()), ids.push_back(static_cast<TokenId>(7 + 11 * i));
  }
  const Status status = forward.run({ids, sequences, rows});
  REQUIRE_MESSAGE(status.ok(), status.message());
  for (std::size_t i = 0; i < caches.size(); ++i) caches[i].truncate(before[i]);
  const Tensor logits = forward.logits();
  return {logits.data, logits.data + logits.n_rows * logits.n_cols};
}

double relative_rms(const std::vector<float>& a, const std::vector<float>& b) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    error += (double{a[i]} - double{b[i]}) * (double{a[i]} - double{b[i]});
    size += double{b[i]} * double{b[i]};
  }
  return std::sqrt(error / size);
}

constexpr const char* kModels[] = {"v2lite-tiny", "v3-tiny", "qwen2-tiny", "llama3-tiny"};
constexpr std::size_t kDeep = 18000;  // of these small models, enough for several parts

}  // namespace

TEST_CASE("split attention: deep contexts give the logits of exact compute, for one token and for several") {
  for (const char* name : kModels) {
    CAPTURE(name);
    const auto model = load(name);
    std::vector<KvCache> caches;
    caches.push_back(filled_cache(*model, DType::f32, kDeep + 5, 1));
    for (std::size_t n_new : {1, 3, 20}) {
      CAPTURE(n_new);
      const auto want = step(*model, caches, n_new, {Compute::exact});
      CHECK(relative_rms(step(*model, caches, n_new, {}), want) <= 2e-5);
      CHECK(relative_rms(step(*model, caches, n_new, {.bf16_dots = true}), want) <= 0.15);
    }
  }
}

TEST_CASE("split attention: a batch of contexts of several lengths") {
  for (const char* name : {"v2lite-tiny", "qwen2-tiny"}) {
    CAPTURE(name);
    const auto model = load(name);
    std::vector<KvCache> caches;
    for (std::size_t n : {std::size_t{1}, kDeep, std::size_t{64}, kDeep / 2}) caches.push_back(filled_cache(*model, DType::f16, n, n));
    CHECK(relative_rms(step(*model, caches, 2, {}), step(*model, caches, 2, {Compute::exact})) <= 2e-5);
  }
}

TEST_CASE("split attention: the same bits for any number of threads") {
  for (const char* name : kModels)
    for (DType type : {DType::f32, DType::bf16}) {
      const auto model = load(name);
      CAPTURE(name);
      std::vector<KvCache> caches;
      caches.push_back(filled_cache(*model, type, kDeep, 2));
      const auto one = step(*model, caches, 1, {.n_threads = 1});
      for (int n_threads : {2, 3}) CHECK((step(*model, caches, 1, {.n_threads = n_threads}) == one));
    }
}

TEST_CASE("split attention: these contexts are split, each unit into parts that cover it once") {
  for (const char* name : kModels) {
    CAPTURE(name);
    const auto model = load(name);
    const Config& c = model->config();
    const ForwardOptions options{.max_rows = 4};
    Scratch scratch = Scratch::create(c, options).value();
    KvCache kv = filled_cache(*model, DType::f32, 1, 1);
    const SequenceRows sequence{&kv, 0, 1};
    scratch.positions[0] = kDeep;
    const auto heads = static_cast<std::size_t>(c.num_attention_heads);
    const std::size_t dims = static_cast<std::size_t>(c.is_mla() ? 2 * c.kv_lora_rank + c.qk_rope_head_dim : 2 * c.head_dim);
    const auto shape = [&](const SequenceRows&) { return UnitShape{1, heads}; };
    const Rows rows{1, {&sequence, 1}};
    const AttentionSplit split(rows, scratch, heads, dims, shape);
    CHECK(split.n_split_units() == 1);
    CHECK(split.n_parts() > 1);
    CHECK(split.n_parts() <= Scratch::kSlots);
    std::size_t next = 0;
    for (std::size_t i = 0; i < split.n_parts(); ++i) {
      const AttentionSplit::Part part = split.part(i);
      CHECK(part.first_block == next);
      CHECK(part.slot + part.part == i);
      next = part.end_block;
    }
    CHECK(next == kDeep / KvCache::kBlockTokens + 1);
  }
}

TEST_CASE("split attention: where heads are to be apart, a context of one part has slots of its own") {
  const auto model = load("v2lite-tiny");
  Scratch scratch = Scratch::create(model->config(), {.max_rows = 4}).value();
  KvCache kv = filled_cache(*model, DType::f32, 1, 1);
  const SequenceRows sequences[] = {{&kv, 0, 1}, {&kv, 1, 1}};
  scratch.positions[0] = scratch.positions[1] = 3;
  const auto heads = static_cast<std::size_t>(model->config().num_attention_heads);
  const auto together = [&](const SequenceRows&) { return UnitShape{1, heads}; };
  const auto apart = [&](const SequenceRows&) { return UnitShape{1, heads, false, true}; };
  const Rows rows{2, sequences};
  CHECK(AttentionSplit(rows, scratch, heads, 64, together).n_split_units() == 0);
  const AttentionSplit split(rows, scratch, heads, 64, apart);
  CHECK(split.n_split_units() == 2);
  CHECK(split.n_parts() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(split.part(i).is_split);
    CHECK(split.part(i).unit == i);
    CHECK(split.part(i).slot == i);
    CHECK(split.split_unit(i).task.first_row == i);
  }
}
