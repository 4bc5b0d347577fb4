// The forward pass against the official implementations: tests/data/models/README.md says how the goldens were made and
// which tolerances hold.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "tests/golden/golden_fixture.h"

using namespace ponder::core;
using namespace ponder::test;

namespace {

struct GoldenTap : ForwardTap {
  explicit GoldenTap(const Fixture& fixture) : f(fixture) {}
  void on_f32(std::string_view name, const Tensor& tensor) override {
    const double tolerance = name.substr(0, 3) == "moe" ? 1e-4 : f.tolerance;
    INFO(name);
    CHECK(worst(tensor, values<float>(f, std::string(name)), tolerance) <= 1);
    ++n_seen;
  }
  void on_i32(std::string_view name, const std::int32_t* data, std::size_t n_rows, std::size_t n_cols) override {
    INFO(name);
    CHECK(std::vector<std::int32_t>(data, data + n_rows * n_cols) == values<std::int32_t>(f, std::string(name)));
    ++n_seen;
  }
  const Fixture& f;
  int n_seen = 0;
};

const char* const kFixtures[] = {"v2lite-tiny",     "v2-tiny",     "v3-tiny",     "v3-fp8-tiny", "qwen2-tiny",
                                 "qwen2-tied-tiny", "llama3-tiny", "v3-odd-tiny", "v2-odd-tiny", "llama-odd-tiny"};

}  // namespace

TEST_CASE("golden: logits of every prompt at every position") {
  for (const char* name : kFixtures) {
    CAPTURE(name);
    const Fixture f = load(name);
    for (int i = 0; f.golden.find("prompt." + std::to_string(i) + ".ids"); ++i) {
      CAPTURE(i);
      const std::string prompt = "prompt." + std::to_string(i);
      const auto ids = values<TokenId>(f, prompt + ".ids");
      Pass pass(*f.model);
      KvCache kv = cache_for(*f.model, ids.size());
      const Tensor logits = pass.run(ids, kv);
      if (f.golden.find(prompt + ".logits"))
        CHECK(worst(logits, values<float>(f, prompt + ".logits"), f.tolerance) <= 1);
      CHECK(worst(logits.rows(ids.size() - 1, 1), values<float>(f, prompt + ".logits_last"), f.tolerance) <= 1);
    }
  }
}

TEST_CASE("golden: every ISA and both forms of MLA, in chunks that cross block borders") {
  using ponder::kernels::Isa;
  for (const char* name : kFixtures) {
    CAPTURE(name);
    const Fixture f = load(name);
    const auto ids = values<TokenId>(f, "prompt.3.ids");
    const auto want = values<float>(f, "prompt.3.logits_last");
    for (const Isa isa : {Isa::ref, Isa::avx2, Isa::avx512, Isa::avx512vnni, Isa::avx512bf16})
      for (const MlaForm form : {MlaForm::absorbed, MlaForm::expanded}) {
        if (!ponder::kernels::isa_supported(isa) || isa > test_isa()) continue;
        if (!f.model->config().is_mla() && form == MlaForm::expanded) continue;
        CAPTURE(ponder::kernels::isa_name(isa));
        constexpr std::size_t kChunk = 47;
        Pass pass(*f.model, kChunk, isa, form);
        KvCache kv = cache_for(*f.model, ids.size());
        for (std::size_t first = 0; first < ids.size(); first += kChunk) {
          const Tensor logits = pass.run(std::span(ids).subspan(first, std::min(kChunk, ids.size() - first)), kv);
          if (kv.n_tokens() == ids.size()) CHECK(worst(logits.rows(logits.n_rows - 1, 1), want, f.tolerance) <= 1);
        }
      }
  }
}

// tests/data/models/README.md, "bf16 activations": dense models by rms and maximum, MoE models by cosine per position.
TEST_CASE("golden: fast compute stays within the error of bf16 activations") {
  for (const char* name : kFixtures) {
    CAPTURE(name);
    const Fixture f = load(name);
    const auto ids = values<TokenId>(f, "prompt.2.ids");
    const auto want = values<float>(f, "prompt.2.logits");
    Pass pass(*f.model, 64, test_isa(), MlaForm::automatic, Compute::fast);
    KvCache kv = cache_for(*f.model, ids.size());
    const Tensor logits = pass.run(ids, kv);
    double square = 0, square_error = 0, sum = 0, max_error = 0;
    std::vector<double> cosines;
    for (std::size_t t = 0; t < logits.n_rows; ++t) {
      double dot = 0, a2 = 0, b2 = 0;
      for (std::size_t i = 0; i < logits.n_cols; ++i) {
        const double a = logits.row(t)[i], b = want[t * logits.n_cols + i];
        dot += a * b, a2 += a * a, b2 += b * b, sum += b;
        square_error += (a - b) * (a - b);
        max_error = std::max(max_error, std::abs(a - b));
      }
      square += b2;
      cosines.push_back(dot / std::sqrt(a2 * b2));
    }
    const auto n = static_cast<double>(want.size());
    const double deviation = std::sqrt(square / n - sum / n * sum / n);
    std::sort(cosines.begin(), cosines.end());
    if (f.model->config().n_routed_experts == 0) {
      CHECK(std::sqrt(square_error / n) <= 0.02 * deviation);
      CHECK(max_error <= 0.3);
    }
    CHECK(cosines[cosines.size() / 2] >= (f.model->config().fp8_blocks ? 0.97 : 0.999));
  }
}

TEST_CASE("golden: hidden states, chosen experts and their weights") {
  for (const char* name : kFixtures) {
    CAPTURE(name);
    const Fixture f = load(name);
    const auto ids = values<TokenId>(f, "prompt.2.ids");
    Pass pass(*f.model);
    KvCache kv = cache_for(*f.model, ids.size());
    GoldenTap tap(f);
    (void)pass.run(ids, kv, &tap);
    CHECK(tap.n_seen >= static_cast<int>(f.model->config().num_hidden_layers) + 2);
  }
}

TEST_CASE("golden: greedy continuations, token by token") {
  for (const char* name : kFixtures) {
    CAPTURE(name);
    const Fixture f = load(name);
    for (int i = 1; i <= 2; ++i) {
      const auto ids = values<TokenId>(f, "prompt." + std::to_string(i) + ".ids");
      const auto want = values<TokenId>(f, "greedy." + std::to_string(i) + ".ids");
      Pass pass(*f.model);
      KvCache kv = cache_for(*f.model, ids.size() + want.size());
      Tensor logits = pass.run(ids, kv);
      std::vector<TokenId> got;
      for (;;) {
        const auto row = logits.row_span(logits.n_rows - 1);
        got.push_back(static_cast<TokenId>(std::max_element(row.begin(), row.end()) - row.begin()));
        if (got.size() == want.size()) break;
        logits = pass.run(std::span(&got.back(), 1), kv);
      }
      CHECK(got == want);
    }
  }
}

TEST_CASE("golden: MTP logits, hidden input taken after model.norm") {
  for (const char* name : {"v3-tiny", "v3-fp8-tiny", "v3-odd-tiny"}) {
    CAPTURE(name);
    const Fixture f = load(name);
    const auto ids = values<TokenId>(f, "prompt.2.ids");
    const auto next = values<TokenId>(f, "mtp.ids_next");
    Pass pass(*f.model);
    KvCache kv = cache_for(*f.model, ids.size()), mtp_kv = cache_for(*f.model, ids.size(), 1);
    (void)pass.run(ids, kv);
    const auto vocab = static_cast<std::size_t>(f.model->config().vocab_size);
    const auto width = static_cast<std::size_t>(f.model->config().hidden_size);
    std::vector<float> logits(ids.size() * vocab), hidden(ids.size() * width);
    const Status status = pass.forward().mtp(pass.forward().final_hidden(), next, mtp_kv,
                                             Tensor(logits.data(), ids.size(), vocab),
                                             Tensor(hidden.data(), ids.size(), width));
    REQUIRE_MESSAGE(status.ok(), status.message());
    CHECK(worst(Tensor(hidden.data(), ids.size(), width), values<float>(f, "mtp.hidden"), f.tolerance) <= 1);
    CHECK(worst(Tensor(logits.data(), ids.size(), vocab), values<float>(f, "mtp.logits"), f.tolerance) <= 1);
  }
}

TEST_CASE("exact compute: every chunk size gives the bits of one prefill") {
  for (const char* name : {"v3-tiny", "qwen2-tiny"}) {
    CAPTURE(name);
    const Fixture f = load(name);
    const auto ids = values<TokenId>(f, "prompt.3.ids");
    const auto vocab = static_cast<std::size_t>(f.model->config().vocab_size);
    Pass whole(*f.model);
    KvCache kv = cache_for(*f.model, ids.size());
    const Tensor want = whole.run(ids, kv);
    for (std::size_t chunk : {1, 7, 64}) {
      CAPTURE(chunk);
      Pass pass(*f.model);
      KvCache part = cache_for(*f.model, ids.size());
      for (std::size_t first = 0; first < ids.size(); first += chunk) {
        const std::size_t n = std::min(chunk, ids.size() - first);
        const Tensor got = pass.run(std::span(ids).subspan(first, n), part);
        CHECK(std::memcmp(got.data, want.row(first), n * vocab * sizeof(float)) == 0);
      }
    }
  }
}

TEST_CASE("several sequences in one batch give the bits of each alone, a fork leaves its parent as it was") {
  const Fixture f = load("v3-tiny");
  const auto a = values<TokenId>(f, "prompt.1.ids"), b = values<TokenId>(f, "prompt.2.ids");
  const auto vocab = static_cast<std::size_t>(f.model->config().vocab_size);
  Pass alone(*f.model);
  KvCache kv_a = cache_for(*f.model, 64), kv_b = cache_for(*f.model, 64);
  const Tensor logits_a = alone.run(a, kv_a);
  const std::vector<float> want_a(logits_a.data, logits_a.data + a.size() * vocab);
  const Tensor logits_b = alone.run(b, kv_b);
  const std::vector<float> want_b(logits_b.data, logits_b.data + b.size() * vocab);

  KvCache kv_c = cache_for(*f.model, 64), kv_d = cache_for(*f.model, 64);
  std::vector<TokenId> both(a);
  both.insert(both.end(), b.begin(), b.end());
  const SequenceRows sequences[] = {{&kv_c, 0, a.size()}, {&kv_d, a.size(), b.size()}};
  std::vector<std::size_t> rows(both.size());
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = i;
  Pass batched(*f.model);
  REQUIRE(batched.forward().run({both, sequences, rows, nullptr}).ok());
  const Tensor got = batched.forward().logits();
  CHECK(std::memcmp(got.data, want_a.data(), want_a.size() * sizeof(float)) == 0);
  CHECK(std::memcmp(got.row(a.size()), want_b.data(), want_b.size() * sizeof(float)) == 0);

  auto fork = kv_a.fork(64);
  REQUIRE(fork.ok());
  const TokenId first[] = {5}, second[] = {9};
  (void)alone.run(first, *fork);  // must not reach the parent's rows
  const Tensor parent = alone.run(second, kv_a);
  const std::vector<float> got_parent(parent.data, parent.data + vocab);
  const Tensor fresh = alone.run(second, kv_c);
  CHECK(std::memcmp(fresh.data, got_parent.data(), vocab * sizeof(float)) == 0);
}

TEST_CASE("a full context and an unknown token id are refused and change nothing") {
  const Fixture f = load("qwen2-tiny");
  Pass pass(*f.model);
  KvCache kv = cache_for(*f.model, 2);
  const TokenId ids[] = {1, 2, 3};
  const SequenceRows sequence{&kv, 0, 3};
  CHECK(pass.forward().run({ids, {&sequence, 1}, {}, nullptr}).code() == Code::context_full);
  CHECK(kv.n_tokens() == 0);
  const TokenId unknown[] = {100000};
  const SequenceRows one{&kv, 0, 1};
  const Status status = pass.forward().run({unknown, {&one, 1}, {}, nullptr});
  CHECK(status.code() == Code::invalid_argument);
  CHECK(status.message().find("100000") != std::string::npos);
}
