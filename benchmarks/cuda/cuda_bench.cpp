// cuda_bench [n_layers]: what a CUDA device reaches with ponder's kernels, beside the ceilings that it has: copy bandwidth and the
// rate of large bf16 products. torch_limits.py measures the same ceilings, and dense fp8, with PyTorch.
//
// Times are of many calls in a row between two waits, the best of five such runs. Models have random weights.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <random>
#include <sstream>
#include <vector>

#include "lib/model/forward.h"
#include "lib/ops/device.h"

using namespace ponder::core;

namespace {

template <class T>
T need(Result<T> result) {
  if (!result.ok()) {
    std::printf("%s\n", result.status().message().c_str());
    std::exit(1);
  }
  return std::move(result).value();
}
void need(const Status& status) {
  if (status.ok()) return;
  std::printf("%s\n", status.message().c_str());
  std::exit(1);
}

double seconds(const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Bench {
  std::shared_ptr<ops::Device> device;
  ops::DeviceQueue queue;
  std::vector<ops::DeviceBuffer> buffers;
  double copy_rate = 0, bf16_rate = 0;  // bytes/s read and written, FLOP/s
  std::mt19937_64 random{1};

  const ponder_device_table& table() const { return device->table(); }
  std::byte* memory(std::size_t n_bytes) {
    buffers.push_back(need(device->allocate(n_bytes)));
    return buffers.back().data();
  }
  // Random bf16 (or bytes of e4m3, never NaN) of small numbers, a block repeated.
  std::byte* random_memory(std::size_t n_bytes, std::uint32_t type) {
    std::vector<std::uint16_t> block(std::size_t{1} << 22);
    std::normal_distribution<float> normal(0, 1);
    for (auto& v : block) {
      v = f32_to_bf16(normal(random));
      if (type == PONDER_TYPE_F8_E4M3) v = static_cast<std::uint16_t>(random() & 0xb7b7);  // magnitudes below 2
    }
    std::byte* to = memory(n_bytes);
    for (std::size_t at = 0; at < n_bytes; at += block.size() * 2)
      need(device->upload(to + at, block.data(), std::min(n_bytes - at, block.size() * 2)));
    return to;
  }
  ponder_device_rows rows(std::size_t n, std::size_t width, std::uint32_t type) {
    return {type == PONDER_TYPE_F32 ? memory(n * width * 4) : random_memory(n * width * 2, type), width, type};
  }
  ponder_device_matrix matrix(std::uint32_t type, std::size_t n_out, std::size_t n_in, std::size_t n_stacked = 1) {
    ponder_device_matrix m{};
    const std::size_t element = type == PONDER_TYPE_BF16 ? 2 : 1;
    m.type = type;
    m.n_out = n_out, m.n_in = n_in, m.n_stacked = n_stacked;
    m.row_bytes = n_in * element;
    m.stack_bytes = n_out * m.row_bytes;
    m.n_scale_cols = static_cast<std::uint32_t>(n_in / 128);
    m.data = random_memory(m.stack_bytes * n_stacked, type);
    if (type != PONDER_TYPE_F8_E4M3) return m;
    m.stack_scales = n_out / 128 * m.n_scale_cols;
    std::vector<float> scales(m.stack_scales * n_stacked, 0.01f);
    auto* to = memory(scales.size() * 4);
    need(device->upload(to, scales.data(), scales.size() * 4));
    m.scale_inv = reinterpret_cast<float*>(to);
    return m;
  }
  template <class T>
  T* upload(const std::vector<T>& values) {
    std::byte* to = memory(values.size() * sizeof(T));
    need(device->upload(to, values.data(), values.size() * sizeof(T)));
    return reinterpret_cast<T*>(to);
  }
  // Seconds of one call.
  double time(int n, const std::function<void()>& call) {
    call();
    need(queue.wait());
    double best = 1e9;
    for (int round = 0; round < 5; ++round)
      best = std::min(best, seconds([&] {
                              for (int i = 0; i < n; ++i) call();
                              need(queue.wait());
                            }) / n);
    return best;
  }

  void limits() {
    const std::size_t n = std::size_t{4} << 30;
    std::byte *a = random_memory(n, PONDER_TYPE_BF16), *b = memory(n);
    double best = 1e9;
    for (int i = 0; i < 6; ++i) best = std::min(best, seconds([&] { need(device->copy(b, a, n)); }));
    copy_rate = 2.0 * static_cast<double>(n) / best;
    std::printf("copy                                      %8.0f GB/s read and written\n", copy_rate / 1e9);
    buffers.clear();
    const std::size_t k = 8192;
    const ponder_device_matrix w = matrix(PONDER_TYPE_BF16, k, k);
    const ponder_device_rows x = rows(k, k, PONDER_TYPE_BF16), y = rows(k, k, PONDER_TYPE_BF16);
    const double s = time(10, [&] { table().matmul(queue.handle(), y, x, &w, nullptr, k, 0); });
    bf16_rate = 2.0 * static_cast<double>(k * k * k) / s;
    std::printf("bf16 product 8192 x 8192 x 8192           %8.0f TFLOP/s\n", bf16_rate / 1e12);
    buffers.clear();
  }

  void fp8_dense(std::size_t n, std::size_t n_out, std::size_t n_in) {
    const ponder_device_matrix w = matrix(PONDER_TYPE_F8_E4M3, n_out, n_in);
    const ponder_device_rows x = rows(n, n_in, PONDER_TYPE_BF16), y = rows(n, n_out, PONDER_TYPE_BF16);
    const double s = time(20, [&] { table().matmul(queue.handle(), y, x, &w, nullptr, n, 0); });
    std::printf("fp8 block scales %5zu x %5zu x %5zu      %8.0f TFLOP/s, rounding the rows included\n", n, n_out, n_in,
                2e-12 * static_cast<double>(n * n_out * n_in) / s);
    buffers.clear();
  }

  void grouped(const char* what, std::uint32_t type, std::uint32_t n_experts, std::uint32_t top_k, std::size_t n, std::size_t n_out, std::size_t n_in) {
    const ponder_device_matrix w = matrix(type, n_out, n_in, n_experts);
    const std::size_t n_slots = n * top_k;
    const ponder_device_rows x = rows(n, n_in, PONDER_TYPE_BF16), y = rows(n_slots, n_out, PONDER_TYPE_BF16);
    std::vector<float> random_scores(n * n_experts);
    std::normal_distribution<float> normal(0, 1);
    for (float& v : random_scores) v = normal(random);
    const ponder_device_rows scores{upload(random_scores), n_experts, PONDER_TYPE_F32};
    const auto ints = [&](std::size_t count) { return reinterpret_cast<std::int32_t*>(memory(count * 4)); };
    const ponder_device_slots slots{ints(n_slots), reinterpret_cast<float*>(ints(n_slots)), ints(n_experts + 1), ints(n_slots), ints(n_slots), n_experts, top_k};
    const ponder_device_router router{n_experts, top_k, 1, 1, 0, 0, 0, 0, 1};
    table().route(queue.handle(), &router, scores, nullptr, &slots, n);
    const double s = time(20, [&] { table().matmul_grouped(queue.handle(), y, x, &w, &slots, n_slots, 0); });
    const double flops = 2.0 * static_cast<double>(n_slots * n_out * n_in);
    const double bytes = static_cast<double>(w.stack_bytes) * n_experts;
    std::printf("%-41s %8.0f TFLOP/s (%.3f ms; weights alone %.0f GB/s)\n", what, flops / s / 1e12, s * 1e3, bytes / s / 1e9);
    buffers.clear();
  }

  void mla(std::uint32_t n_heads, std::size_t batch, std::size_t context) {
    const std::size_t row = 576, n_blocks = (context + 63) / 64;
    std::byte* all = random_memory(batch * n_blocks * 64 * row * 2, PONDER_TYPE_BF16);
    std::vector<void*> blocks;
    for (std::size_t i = 0; i < batch * n_blocks; ++i) blocks.push_back(all + i * 64 * row * 2);
    std::shuffle(blocks.begin(), blocks.end(), random);
    std::vector<std::int32_t> first, sequence, positions;
    std::vector<ponder_device_sequence> sequences;
    for (std::size_t i = 0; i < batch; ++i) {
      first.push_back(static_cast<std::int32_t>(i * n_blocks));
      sequence.push_back(static_cast<std::int32_t>(i));
      positions.push_back(static_cast<std::int32_t>(context - 1));
      sequences.push_back({i, 1, context - 1});
    }
    ponder_device_cache c{};
    c.blocks = upload(blocks), c.first_block = upload(first), c.row_sequence = upload(sequence), c.positions = upload(positions);
    c.row_elements = row, c.type = PONDER_TYPE_BF16, c.block_tokens = 64, c.n_rows = c.n_sequences = batch, c.sequences = sequences.data();
    ponder_device_heads heads{};
    heads.n_heads = n_heads, heads.n_kv_heads = 1, heads.nope = 128, heads.rope = 64, heads.rank = 512, heads.v = 128, heads.scale = 0.07f;
    ponder_device_matrix kv_b = matrix(PONDER_TYPE_BF16, 256, 512, n_heads);
    const ponder_device_rows q = rows(batch, n_heads * 192, PONDER_TYPE_BF16), out = rows(batch, n_heads * 128, PONDER_TYPE_BF16);
    const double s = time(20, [&] { table().mla_attend(queue.handle(), &c, &heads, out, q, &kv_b); });
    const double bytes = static_cast<double>(batch * context * row * 2), flops = 2.0 * static_cast<double>(batch * context * n_heads * (576 + 512));
    std::printf("MLA decode %3u heads, batch %3zu, context %5zu %6.0f GB/s of latents, %.0f %% of copy (%.0f us, %.0f TFLOP/s), with both "
                "projections of the heads\n", n_heads, batch, context, bytes / s / 1e9, 100 * bytes / s / copy_rate, s * 1e6, flops / s / 1e12);
    buffers.clear();
  }

  // profile: one prefill and two decode steps, for a profiler.
  void model(std::int64_t n_layers, DType type, bool profile) {
    std::ifstream file(PONDER_CONFIGS "/deepseek-v2-lite.json");
    std::stringstream text;
    text << file.rdbuf();
    const auto made = need(Model::random(need(parse_json(text.str(), "deepseek-v2-lite.json")), type, n_layers, 1));
    auto pool = need(ThreadPool::create(0));
    const ponder::kernels::Table kernels = ponder::kernels::make_table(ponder::kernels::highest_isa());
    Context ctx;
    ctx.kernels = &kernels;
    ctx.pool = pool.get();
    ctx.compute = Compute::fast;
    ctx.device = device;
    KvLayout layout = need(KvLayout::create(made->config(), DType::bf16));
    layout.device = device;
    const std::size_t chunk = 4096;
    double load = 0;
    std::unique_ptr<Forward> forward;
    load = seconds([&] { forward = std::make_unique<Forward>(need(Forward::create(*made, ctx, {.max_rows = chunk, .max_logits_rows = 16}))); });
    std::printf("V2-Lite geometry, %s, %lld layers: %.1f GB on the device in %.1f s\n", std::string(dtype_name(type)).c_str(),
                static_cast<long long>(made->config().num_hidden_layers), static_cast<double>(made->summary().weight_bytes) / 1e9, load);
    const Config& c = made->config();
    std::vector<TokenId> ids(chunk);
    for (TokenId& id : ids) id = static_cast<TokenId>(random() % static_cast<std::uint64_t>(c.vocab_size));
    const std::size_t last = chunk - 1;
    double best = 1e9;
    for (int i = 0; i < (profile ? 1 : 4); ++i) {
      KvCache kv = need(KvCache::create(layout, chunk + 2));
      const SequenceRows sequence{&kv, 0, chunk};
      best = std::min(best, seconds([&] { need(forward->run({ids, {&sequence, 1}, {&last, 1}})); }));
      const std::size_t zero = 0;
      const SequenceRows one{&kv, 0, 1};
      if (profile) return need(forward->run({std::span(ids).first(1), {&one, 1}, {&zero, 1}}));
    }
    // Per token: weights but embedding and head; attention over half of the context.
    const double active = static_cast<double>(made->summary().n_active_parameters) - 2.0 * static_cast<double>(c.vocab_size * c.hidden_size);
    const double attention = static_cast<double>(c.num_hidden_layers * c.num_attention_heads * 320) * static_cast<double>(chunk) / 2;
    const double flops = 2 * (active + attention) * static_cast<double>(chunk);
    std::printf("  prefill %zu tokens                       %8.2f ms, %.0f tokens/s, %.0f TFLOP/s, %.0f %% of the bf16 rate\n", chunk, best * 1e3,
                static_cast<double>(chunk) / best, flops / best / 1e12, 100 * flops / best / bf16_rate);
    for (const std::size_t context : {128, 1024, 8192}) {
      KvCache kv = need(KvCache::create(layout, context + 256));
      for (std::size_t done = 0; done < context; done += chunk) {
        const std::size_t n = std::min(chunk, context - done);
        const SequenceRows sequence{&kv, 0, n};
        need(forward->run({std::span(ids).first(n), {&sequence, 1}, {}}));
      }
      const std::size_t zero = 0;
      const SequenceRows one{&kv, 0, 1};
      const auto step = [&] { need(forward->run({std::span(ids).first(1), {&one, 1}, {&zero, 1}})); };
      for (int i = 0; i < 8; ++i) step();
      double fastest = 1e9;
      for (int round = 0; round < 3; ++round) fastest = std::min(fastest, seconds([&] { for (int i = 0; i < 32; ++i) step(); }) / 32);
      const double bytes = static_cast<double>(made->summary().active_weight_bytes) +
                           static_cast<double>(context) * static_cast<double>(layout.token_bytes());
      std::printf("  decode, context %5zu                     %8.3f ms, %.0f tokens/s, %.0f GB/s, %.0f %% of copy bandwidth\n", context, fastest * 1e3,
                  1 / fastest, bytes / fastest / 1e9, 100 * bytes / fastest / copy_rate);
    }
    for (const std::size_t batch : {8, 64}) {
      std::vector<KvCache> caches;
      std::vector<SequenceRows> sequences;
      for (std::size_t i = 0; i < batch; ++i) caches.push_back(need(KvCache::create(layout, 1024 + 64)));
      for (std::size_t i = 0; i < batch; ++i) {
        const SequenceRows sequence{&caches[i], 0, 1024};
        need(forward->run({std::span(ids).first(1024), {&sequence, 1}, {}}));
        sequences.push_back({&caches[i], i, 1});
      }
      const auto step = [&] { need(forward->run({std::span(ids).first(batch), sequences, {}})); };
      for (int i = 0; i < 4; ++i) step();
      const double each = seconds([&] { for (int i = 0; i < 32; ++i) step(); }) / 32;
      std::printf("  decode, %2zu sequences of 1024              %8.3f ms, %.0f tokens/s\n", batch, each * 1e3, static_cast<double>(batch) / each);
    }
  }
};

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  Bench bench;
  bench.device = need(ops::Device::open_cuda());
  bench.queue = need(ops::DeviceQueue::create(bench.device));
  std::printf("%s\n", bench.device->name().c_str());
  const std::string only = argc > 2 ? argv[2] : "";  // one part: fp8, grouped, mla, model
  const std::int64_t n_layers = argc > 1 ? std::atoll(argv[1]) : 0;
  if (only == "profile") {
    bench.model(n_layers, DType::bf16, true);
    return 0;
  }
  bench.limits();
  const auto wanted = [&](const char* part) { return only.empty() || only == part; };
  if (wanted("fp8")) {
    bench.fp8_dense(4096, 4096, 7168);
    bench.fp8_dense(4096, 7168, 2048);
  }
  if (wanted("grouped")) {
    bench.grouped("fp8 grouped: 32 experts, top 8, 4096 x 7168", PONDER_TYPE_F8_E4M3, 32, 8, 4096, 4096, 7168);
    bench.grouped("fp8 grouped: 32 experts, top 8, 7168 x 2048", PONDER_TYPE_F8_E4M3, 32, 8, 4096, 7168, 2048);
    bench.grouped("fp8 grouped: 64 experts, top 6, 1408 x 2048", PONDER_TYPE_F8_E4M3, 64, 6, 4096, 1408, 2048);
    bench.grouped("bf16 grouped: 64 experts, top 6, 1408 x 2048", PONDER_TYPE_BF16, 64, 6, 4096, 1408, 2048);
    bench.grouped("bf16 grouped: 64 experts, top 6, 128 tokens", PONDER_TYPE_BF16, 64, 6, 128, 1408, 2048);
  }
  if (wanted("mla")) {
    for (const std::size_t context : {8192, 2048}) bench.mla(16, 128, context);
    bench.mla(16, 1, 8192);
    bench.mla(128, 32, 8192);
  }
  if (wanted("model")) bench.model(n_layers, DType::bf16, false);
  return 0;
}
