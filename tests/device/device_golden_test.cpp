// The forward pass on a device against the official implementations' results: tests/data/models/README.md.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "lib/model/device_model.h"
#include "tests/device/device_fixture.h"
#include "tests/golden/golden_fixture.h"

using namespace ponder::core;
using namespace ponder::test;

namespace {

const char* const kFixtures[] = {"v2lite-tiny",     "v2-tiny",     "v3-tiny",     "v3-fp8-tiny", "qwen2-tiny",
                                 "qwen2-tied-tiny", "llama3-tiny", "v3-odd-tiny", "v2-odd-tiny", "llama-odd-tiny"};

class DevicePass {
 public:
  DevicePass(const Model& model, std::shared_ptr<ops::Device> device, std::size_t max_rows, Compute compute = Compute::exact)
      : pool_(ThreadPool::create(2).value()), kernels_(ponder::kernels::make_table(test_isa())), device_(std::move(device)) {
    Context ctx;
    ctx.kernels = &kernels_;
    ctx.pool = pool_.get();
    ctx.compute = compute;
    ctx.device = device_;
    auto forward = Forward::create(model, ctx, {.max_rows = max_rows, .max_logits_rows = max_rows, .int8_rows = compute == Compute::fast});
    REQUIRE_MESSAGE(forward.ok(), forward.status().message());
    forward_ = std::make_unique<Forward>(std::move(forward).value());
  }
  Tensor run(std::span<const TokenId> ids, KvCache& kv, ForwardTap* tap = nullptr) {
    std::vector<std::size_t> rows(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) rows[i] = i;
    const SequenceRows sequence{&kv, 0, ids.size()};
    const Status status = forward_->run({ids, {&sequence, 1}, rows, tap});
    REQUIRE_MESSAGE(status.ok(), status.message());
    return forward_->logits();
  }
  Forward& forward() { return *forward_; }

 private:
  std::unique_ptr<ThreadPool> pool_;
  ponder::kernels::Table kernels_;
  std::shared_ptr<ops::Device> device_;
  std::unique_ptr<Forward> forward_;
};

KvCache device_cache(const Model& model, const std::shared_ptr<ops::Device>& device, std::size_t context_length, DType type = DType::f32) {
  KvLayout layout = KvLayout::create(model.config(), type).value();
  layout.device = device;
  auto cache = KvCache::create(layout, context_length);
  REQUIRE_MESSAGE(cache.ok(), cache.status().message());
  return std::move(cache).value();
}

struct GoldenTap : ForwardTap {
  explicit GoldenTap(const Fixture& fixture) : f(fixture) {}
  void on_f32(std::string_view name, const Tensor& tensor) override {
    INFO(name);
    CHECK(worst(tensor, values<float>(f, std::string(name)), name.substr(0, 3) == "moe" ? 1e-4 : f.tolerance) <= 1);
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

// Prompt `i` in chunks: logits of all positions.
void check_prompt(const Fixture& f, const std::shared_ptr<ops::Device>& device, int i, std::size_t chunk) {
  const std::string prompt = "prompt." + std::to_string(i);
  if (!f.golden.find(prompt + ".ids")) return;
  const auto ids = values<TokenId>(f, prompt + ".ids");
  DevicePass pass(*f.model, device, std::min(chunk, ids.size()));
  KvCache kv = device_cache(*f.model, device, ids.size());
  std::vector<float> logits;
  const auto vocab = static_cast<std::size_t>(f.model->config().vocab_size);
  for (std::size_t first = 0; first < ids.size(); first += chunk) {
    const Tensor part = pass.run(std::span(ids).subspan(first, std::min(chunk, ids.size() - first)), kv);
    logits.insert(logits.end(), part.data, part.data + part.n_rows * part.n_cols);
  }
  const Tensor all(logits.data(), ids.size(), vocab);
  if (f.golden.find(prompt + ".logits")) CHECK(worst(all, values<float>(f, prompt + ".logits"), f.tolerance) <= 1);
  if (f.golden.find(prompt + ".logits_last"))
    CHECK(worst(all.rows(ids.size() - 1, 1), values<float>(f, prompt + ".logits_last"), f.tolerance) <= 1);
}

void check_taps(const Fixture& f, const std::shared_ptr<ops::Device>& device) {
  const auto ids = values<TokenId>(f, "prompt.2.ids");
  DevicePass pass(*f.model, device, ids.size());
  KvCache kv = device_cache(*f.model, device, ids.size());
  GoldenTap tap(f);
  (void)pass.run(ids, kv, &tap);
  CHECK(tap.n_seen >= static_cast<int>(f.model->config().num_hidden_layers) + 2);
}

void check_greedy(const Fixture& f, const std::shared_ptr<ops::Device>& device) {
  const auto ids = values<TokenId>(f, "prompt.1.ids");
  const auto want = values<TokenId>(f, "greedy.1.ids");
  DevicePass pass(*f.model, device, ids.size());
  KvCache kv = device_cache(*f.model, device, ids.size() + want.size());
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

// tests/data/models/README.md, "bf16 activations".
void check_fast(const Fixture& f, const std::shared_ptr<ops::Device>& device, std::size_t chunk, DType kv_type) {
  const auto ids = values<TokenId>(f, "prompt.2.ids");
  const auto want = values<float>(f, "prompt.2.logits");
  const auto vocab = static_cast<std::size_t>(f.model->config().vocab_size);
  DevicePass pass(*f.model, device, chunk, Compute::fast);
  KvCache kv = device_cache(*f.model, device, ids.size(), kv_type);
  double square = 0, square_error = 0, sum = 0, max_error = 0;
  std::vector<double> cosines;
  for (std::size_t first = 0; first < ids.size(); first += chunk) {
    const Tensor logits = pass.run(std::span(ids).subspan(first, std::min(chunk, ids.size() - first)), kv);
    for (std::size_t t = 0; t < logits.n_rows; ++t) {
      double dot = 0, a2 = 0, b2 = 0;
      for (std::size_t i = 0; i < vocab; ++i) {
        const double a = logits.row(t)[i], b = want[(first + t) * vocab + i];
        dot += a * b, a2 += a * a, b2 += b * b, sum += b;
        square_error += (a - b) * (a - b);
        max_error = std::max(max_error, std::abs(a - b));
      }
      square += b2;
      cosines.push_back(dot / std::sqrt(a2 * b2));
    }
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

}  // namespace

// The fake device takes f64 sums in plain loops: one model of each family, short prompts.
TEST_CASE("golden, fake device: logits, hidden states, experts, greedy continuations") {
  for (const char* name : {"v2lite-tiny", "v3-fp8-tiny", "v3-odd-tiny", "llama-odd-tiny"}) {
    CAPTURE(name);
    const Fixture f = load(name);
    const auto device = fake_device();
    check_prompt(f, device, 0, 7);
    check_prompt(f, device, 1, 300);
    check_taps(f, device);
  }
  const Fixture f = load("v3-tiny");
  const std::size_t played = fake_device_counters().n_graphs_played;
  check_greedy(f, fake_device());
  CHECK(fake_device_counters().n_graphs_played > played);
  check_fast(f, fake_device(), 64, DType::bf16);
}

TEST_CASE("golden, fake device: GGUF's types and its form of kv_b_proj") {
  check_prompt(load("gguf/v3-tiny.bf16.gguf", "models/v3-tiny/golden.safetensors", 2e-4), fake_device(), 1, 47);
  check_prompt(load("gguf/llama3-kq-tiny.gguf", "gguf/llama3-kq-tiny.golden.safetensors", 5e-4), fake_device(), 1, 47);
}

TEST_CASE("golden, fake device: experts of some layers stay in RAM where the device is small, with the same results") {
  const Fixture f = load("v3-tiny");
  for (const char* layers : {"0", "1"}) {
    CAPTURE(layers);
    ::setenv("PONDER_DEVICE_EXPERT_LAYERS", layers, 1);
    const auto device = fake_device();
    check_prompt(f, device, 1, 300);
    check_taps(f, device);
    check_greedy(f, device);
  }
  ::unsetenv("PONDER_DEVICE_EXPERT_LAYERS");
}

TEST_CASE("a forked cache on a device leaves its parent as it was") {
  const Fixture f = load("v2lite-tiny");
  for (const auto& device : test_devices()) {
    CAPTURE(device->name());
    const auto ids = values<TokenId>(f, "prompt.1.ids");
    DevicePass pass(*f.model, device, ids.size());
    KvCache kv = device_cache(*f.model, device, 64), other = device_cache(*f.model, device, 64);
    (void)pass.run(ids, kv);
    (void)pass.run(ids, other);
    auto fork = kv.fork(64);
    REQUIRE(fork.ok());
    const TokenId first[] = {5}, second[] = {9};
    (void)pass.run(first, *fork);
    const auto vocab = static_cast<std::size_t>(f.model->config().vocab_size);
    const Tensor parent = pass.run(second, kv);
    const std::vector<float> got(parent.data, parent.data + vocab);
    CHECK(worst(pass.run(second, other), got, 1e-6) <= 1);
  }
}

TEST_CASE("golden, CUDA device: logits of every prompt at every position, in chunks") {
  const auto device = cuda_device();
  if (!device) return;
  for (const char* name : kFixtures) {
    CAPTURE(name);
    const Fixture f = load(name);
    for (int i = 0; i < 5; ++i) {
      CAPTURE(i);
      for (std::size_t chunk : {300, 47}) check_prompt(f, device, i, chunk);
    }
  }
}

TEST_CASE("golden, CUDA device: GGUF files") {
  const auto device = cuda_device();
  if (!device) return;
  for (int i = 0; i < 4; ++i) {
    CAPTURE(i);
    for (const char* name : {"v3-tiny", "v2lite-tiny", "qwen2-tiny", "llama3-tiny"}) {
      CAPTURE(name);
      check_prompt(load("gguf/" + std::string(name) + ".bf16.gguf", "models/" + std::string(name) + "/golden.safetensors", 2e-4), device, i, 47);
    }
    check_prompt(load("gguf/llama3-kq-tiny.gguf", "gguf/llama3-kq-tiny.golden.safetensors", 5e-4), device, i, 47);
  }
}

TEST_CASE("golden, CUDA device: hidden states, chosen experts, greedy continuations token by token") {
  const auto device = cuda_device();
  if (!device) return;
  for (const char* name : kFixtures) {
    CAPTURE(name);
    const Fixture f = load(name);
    check_taps(f, device);
    check_greedy(f, device);
  }
}

TEST_CASE("golden, CUDA device: fast compute stays within the error of bf16 activations") {
  const auto device = cuda_device();
  if (!device) return;
  for (const char* name : kFixtures) {
    CAPTURE(name);
    const Fixture f = load(name);
    for (const DType type : {DType::bf16, DType::f16, DType::f32})
      for (std::size_t chunk : {64, 9, 1}) {
        CAPTURE(dtype_name(type));
        CAPTURE(chunk);
        check_fast(f, device, chunk, type);
      }
  }
}

TEST_CASE("golden, CUDA device: experts in RAM") {
  const auto device = cuda_device();
  if (!device) return;
  ::setenv("PONDER_DEVICE_EXPERT_LAYERS", "1", 1);
  for (const char* name : {"v3-tiny", "v2-tiny", "v3-fp8-tiny"}) {
    CAPTURE(name);
    const Fixture f = load(name);
    check_prompt(f, device, 1, 300);
    check_greedy(f, device);
    check_fast(f, device, 64, DType::bf16);
  }
  ::unsetenv("PONDER_DEVICE_EXPERT_LAYERS");
}
