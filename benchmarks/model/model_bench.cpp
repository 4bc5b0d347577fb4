// Prefill and decode of an official geometry with random weights, beside what the machine can do at best:
//   ponder_model_bench [--config FILE] [--layers N] [--dtype bf16|f16|f32|fp8] [--kv f32|f16|bf16] [-t THREADS]
//                      [-p PROMPT] [-n DECODE] [-d DEPTH] [--chunk N] [-r REPS] [--compute exact|fast] [--isa NAME]
// -d: tokens in the cache before prefill and decode are timed. Medians of -r runs.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "benchmarks/model/machine_limits.h"
#include "lib/model/forward.h"

using namespace ponder;
using namespace ponder::core;

namespace {

struct Options {
  std::string config = PONDER_BENCH_CONFIGS "/deepseek-v2-lite.json", dtype = "bf16", kv = "f32", compute = "exact", isa;
  std::int64_t layers = 4;
  int threads = 0, reps = 3;
  std::size_t prompt = 512, decode = 64, depth = 0, chunk = 512;
};

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "ponder_model_bench: %s\n", why.c_str());
  std::exit(1);
}

template <class T>
T must(Result<T> result) {
  if (!result.ok()) give_up(result.status().message());
  return std::move(result).value();
}

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (++i == argc) give_up(name + " wants a value");
    const std::string value = argv[i];
    const auto number = [&] { return static_cast<std::size_t>(std::strtoull(value.c_str(), nullptr, 10)); };
    if (name == "--config") o.config = value;
    else if (name == "--dtype") o.dtype = value;
    else if (name == "--kv") o.kv = value;
    else if (name == "--compute") o.compute = value;
    else if (name == "--isa") o.isa = value;
    else if (name == "--layers") o.layers = static_cast<std::int64_t>(number());
    else if (name == "--chunk") o.chunk = number();
    else if (name == "-t") o.threads = static_cast<int>(number());
    else if (name == "-r") o.reps = std::max(1, static_cast<int>(number()));
    else if (name == "-p") o.prompt = number();
    else if (name == "-n") o.decode = number();
    else if (name == "-d") o.depth = number();
    else give_up("unknown option " + name);
  }
  if (o.prompt == 0 || o.chunk == 0) give_up("-p and --chunk must be above 0");
  return o;
}

DType dtype_of(const std::string& name) {
  if (name == "bf16") return DType::bf16;
  if (name == "f16") return DType::f16;
  if (name == "f32") return DType::f32;
  if (name == "fp8") return DType::f8_e4m3;
  give_up("unknown type " + name);
}

double bytes_of(const Weight& w) {
  if (w.empty()) return 0;
  const double scales = w.type == DType::f8_e4m3 ? 4.0 * static_cast<double>((w.n_out + 127) / 128 * w.n_scale_cols()) : 0;
  return static_cast<double>(w.n_out * w.row_stride_bytes()) + scales;
}
double macs_of(const Weight& w) { return static_cast<double>(w.n_out * w.n_in); }

struct Cost {  // of one token, without attention over the cache and without the head
  double bytes = 0, macs = 0;
  void add(const Weight& w, double times = 1) {
    bytes += times * bytes_of(w);
    macs += times * macs_of(w);
  }
  void add(const MlpWeights& m, double times = 1) {
    add(m.gate_proj, times);
    add(m.up_proj, times);
    add(m.down_proj, times);
  }
};

Cost token_cost(const Model& model) {
  Cost cost;
  for (const LayerWeights& layer : model.weights().layers) {
    const AttentionWeights& a = layer.self_attn;
    for (const Weight* w : {&a.q_proj, &a.q_a_proj, &a.q_b_proj, &a.kv_a_proj_with_mqa, &a.kv_b_proj, &a.k_b_proj,
                            &a.v_b_proj, &a.k_proj, &a.v_proj, &a.o_proj})
      cost.add(*w);
    if (layer.moe.experts.empty()) {
      cost.add(layer.mlp);
    } else {
      cost.add(layer.moe.gate);
      cost.add(layer.moe.shared_experts);
      cost.add(layer.moe.experts[0], static_cast<double>(model.config().num_experts_per_tok));
    }
  }
  return cost;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const Options o = parse(argc, argv);
  std::ifstream file(o.config);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  if (!file) give_up("cannot read " + o.config);
  const Json json = must(parse_json(text, o.config));
  const auto model = must(Model::random(json, dtype_of(o.dtype), o.layers, 1));
  const Config& c = model->config();
  const auto pool = must(ThreadPool::create(o.threads));
  auto cap = kernels::highest_isa();
  if (!o.isa.empty() && !kernels::isa_from_name(o.isa.c_str(), cap)) give_up("unknown ISA " + o.isa);
  const kernels::Table table = kernels::make_table(cap);

  bench::MachineLimits limits = bench::measure_limits(pool->n_threads());  // and again after the model
  std::printf("machine   %d threads, read %.1f GB/s, f32 FMA %.0f GFLOP/s (%s)", pool->n_threads(),
              limits.read_bytes_per_s * 1e-9, limits.f32_flops_per_s * 1e-9, limits.f32_isa);
  if (limits.bf16_flops_per_s > 0) std::printf(", bf16 dot products %.0f GFLOP/s", limits.bf16_flops_per_s * 1e-9);
  std::printf("\nmodel     %s, %lld layers, %s weights, %s cache, %s compute, kernels up to %s\n", c.architecture_name.c_str(),
              static_cast<long long>(c.num_hidden_layers), o.dtype.c_str(), o.kv.c_str(), o.compute.c_str(),
              kernels::isa_name(table.isa));

  Context ctx;
  ctx.kernels = &table;
  ctx.pool = pool.get();
  ctx.compute = o.compute == "fast" ? Compute::fast : Compute::exact;
  Forward forward = must(Forward::create(*model, ctx, {.max_rows = o.chunk}));
  const KvLayout layout{static_cast<std::size_t>(c.num_hidden_layers), static_cast<std::size_t>(c.kv_row_elements()), dtype_of(o.kv)};
  KvCache kv = must(KvCache::create(layout, o.depth + o.prompt + o.decode + 1));

  std::uint64_t random = 1;
  const auto run = [&](std::size_t n_tokens, std::size_t n_rows) {  // in passes of n_rows, logits of the last row
    std::vector<TokenId> ids(n_rows);
    for (std::size_t done = 0; done < n_tokens; done += n_rows) {
      const std::size_t n = std::min(n_rows, n_tokens - done), last[] = {n - 1};
      for (TokenId& id : ids)
        id = static_cast<TokenId>((random = random * 6364136223846793005u + 1442695040888963407u) >> 33) % static_cast<TokenId>(c.vocab_size);
      const SequenceRows sequence{&kv, 0, n};
      const bool wanted = n_rows == 1 || done + n == n_tokens;
      const Status status = forward.run({std::span(ids).first(n), {&sequence, 1}, std::span(last, wanted ? 1 : 0), nullptr});
      if (!status.ok()) give_up(status.message());
    }
  };
  const auto timed = [&](std::size_t n_tokens, std::size_t n_rows) {
    const auto start = Forward::Clock::now();
    run(n_tokens, n_rows);
    return std::chrono::duration<double>(Forward::Clock::now() - start).count();
  };
  if (o.depth > 0) run(o.depth, o.chunk);
  run(1, 1);  // commits pages, wakes threads
  std::vector<double> prefill_s, decode_s;
  for (int rep = 0; rep < o.reps; ++rep) {
    kv.truncate(o.depth);
    prefill_s.push_back(timed(o.prompt, o.chunk));
    if (o.decode > 0) decode_s.push_back(timed(o.decode, 1));
  }
  limits.raise_to(bench::measure_limits(pool->n_threads()));

  const Cost cost = token_cost(*model);
  const double head_bytes = bytes_of(model->weights().lm_head), n_prompt = static_cast<double>(o.prompt);
  // Attention counted as the expanded form does it, whichever form runs: q k and p v of the heads, over the keys seen.
  const double head_dims = c.is_mla() ? static_cast<double>(c.qk_head_dim() + c.v_head_dim) : 2.0 * static_cast<double>(c.head_dim);
  const double attention_macs = static_cast<double>(c.num_hidden_layers * c.num_attention_heads) * head_dims *
                                n_prompt * (static_cast<double>(o.depth) + (n_prompt + 1) / 2);
  const double prefill_flops = 2 * (cost.macs * n_prompt + attention_macs + macs_of(model->weights().lm_head));
  const double prefill = median(prefill_s);
  std::printf("prefill   %zu tokens at depth %zu: %.1f tokens/s, %.1f GFLOP/s, %.1f %% of the %s\n", o.prompt, o.depth,
              n_prompt / prefill, prefill_flops / prefill * 1e-9, 100 * prefill_flops / prefill / limits.peak_flops_per_s(),
              limits.peak_name());
  if (o.decode > 0) {
    const double n = static_cast<double>(o.decode), decode = median(decode_s);
    const double kv_bytes = static_cast<double>(layout.token_bytes()) * (static_cast<double>(o.depth) + n_prompt + n / 2);
    const double bytes = cost.bytes + head_bytes + kv_bytes;
    std::printf("decode    %zu tokens at depth %zu: %.1f tokens/s, %.0f MB per token, %.1f GB/s, %.1f %% of the bandwidth bound\n",
                o.decode, o.depth + o.prompt, n / decode, bytes * 1e-6, bytes * n / decode * 1e-9,
                100 * bytes * n / decode / limits.read_bytes_per_s);
  }
  std::printf("memory    scratch %.1f MB, cache %.1f MB reserved\n",
              static_cast<double>(Forward::scratch_bytes(c, {.max_rows = o.chunk})) * 1e-6,
              static_cast<double>(kv.reserved_bytes()) * 1e-6);
  return 0;
}
