// What importance matrices hold, and that quantising with one serves the text it was collected on.
#include "lib/model/collect_importance.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "lib/model/importance.h"
#include "lib/ops/ops.h"
#include "tests/lib/model/memory_output.h"

using namespace ponder::core;
using namespace ponder::test;

namespace {

struct Setup {
  std::unique_ptr<ThreadPool> pool = ThreadPool::create(2).value();
  ponder::kernels::Table table = ponder::kernels::make_table(ponder::kernels::highest_isa());
  Context ctx;
  std::shared_ptr<const Model> model;
  WrittenFile file;
  CollectOptions options;
  explicit Setup(const std::string& name) {
    ctx.kernels = &table;
    ctx.pool = pool.get();
    model = Model::load(folder_source(PONDER_TEST_DATA "/models/" + name), {}).value();
    options.chunk_tokens = 32;
  }
  Result<CollectReport> run(std::size_t n_tokens) {
    std::vector<TokenId> ids(n_tokens);
    for (std::size_t i = 0; i < n_tokens; ++i) ids[i] = static_cast<TokenId>(i * 37 % 250);
    file = {};
    return collect_importance(ctx, *model, ids, file.output(), options);
  }
  Importance importance() const {
    auto read = read_importance({"imatrix.gguf", std::as_bytes(std::span(file.text)), nullptr});
    REQUIRE_MESSAGE(read.ok(), read.status().message());
    return std::move(read).value();
  }
};

}  // namespace

TEST_CASE("product observer: it sees the factors of every product once") {
  struct Counter final : ProductObserver {
    std::vector<std::pair<const std::byte*, std::size_t>> seen;
    void saw(const Weight& w, const Tensor& x) override { seen.emplace_back(w.data, x.n_rows); }
  } counter;
  const Setup s("qwen2-tiny");
  Context ctx = s.ctx;
  ctx.observer = &counter;
  const Weight& w = s.model->weights().layers[0].self_attn.q_proj;
  std::vector<float> x(3 * w.n_in, 1), y(3 * w.n_out);
  ops::matmul(ctx, {y.data(), 3, w.n_out}, {x.data(), 3, w.n_in}, w);
  REQUIRE(counter.seen.size() == 1);
  CHECK(counter.seen[0] == std::pair(w.data, std::size_t{3}));
}

TEST_CASE("importance: a matrix of every weight of the layers, of the squares that met it") {
  Setup s("qwen2-tiny");
  const auto report = s.run(100);
  REQUIRE_MESSAGE(report.ok(), report.status().message());
  CHECK(report->n_chunks == 3);
  const Importance importance = s.importance();
  const std::size_t layers = s.model->weights().layers.size();
  CHECK(importance.size() == 7 * layers);
  CHECK(report->n_tensors == importance.size());
  // q, k and v of a layer read the same: the normalised input, whose squares average the norm's own.
  CHECK(importance.at("blk.0.attn_q.weight") == importance.at("blk.0.attn_v.weight"));
  CHECK(importance.at("blk.1.ffn_up.weight") == importance.at("blk.1.ffn_gate.weight"));
  const std::vector<float>& q = importance.at("blk.0.attn_q.weight");
  const float* norm = s.model->weights().layers[0].input_layernorm;
  double got = 0;
  for (std::size_t k = 0; k < q.size(); ++k) got += double{q[k]} / (double{norm[k]} * double{norm[k]});
  CHECK(got / static_cast<double>(q.size()) == doctest::Approx(1).epsilon(0.01));
}

TEST_CASE("importance: each expert has its own, and those that no token reached are told") {
  Setup s("v3-tiny");
  const auto report = s.run(64);
  REQUIRE_MESSAGE(report.ok(), report.status().message());
  const Importance importance = s.importance();
  const Config& c = s.model->config();
  CHECK(importance.at("blk.1.ffn_down_exps.weight").size() ==
        static_cast<std::size_t>(c.n_routed_experts * c.moe_intermediate_size));
  CHECK(importance.contains("blk.1.ffn_gate_shexp.weight"));
  CHECK(importance.contains("blk.1.attn_kv_a_mqa.weight"));
  CHECK_FALSE(importance.contains("blk.1.attn_k_b.weight"));
  CHECK_FALSE(importance.contains("blk.1.ffn_gate_inp.weight"));
  s.options.max_chunks = 1;
  s.options.chunk_tokens = 2;
  const auto two_tokens = s.run(64);
  REQUIRE(two_tokens.ok());
  CHECK(two_tokens->n_chunks == 1);
  CHECK(two_tokens->unreached_experts > report->unreached_experts);
}

TEST_CASE("importance: the same bits for any number of threads") {
  Setup one("v3-tiny"), two("v3-tiny");
  one.ctx.max_threads = 1;
  REQUIRE(one.run(64).ok());
  REQUIRE(two.run(64).ok());
  CHECK(one.file.text == two.file.text);
}

TEST_CASE("importance: a text too short, chunks that do not fit and a stop are refused and leave nothing") {
  Setup s("qwen2-tiny");
  CHECK(s.run(31).status().message() == "the text has 31 tokens, want at least a chunk of 32");
  s.options.chunk_tokens = 1;
  CHECK(s.run(31).status().code() == Code::invalid_argument);
  s.options.chunk_tokens = 32;
  s.options.progress = [](std::size_t done, std::size_t n) { return done * 2 < n; };
  CHECK(s.run(128).status().message() == "stopped after 2 of 4 chunks");
  CHECK_FALSE(s.file.committed);
}
