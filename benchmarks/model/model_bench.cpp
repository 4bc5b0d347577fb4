// Prefill and decode of a model, beside what the machine can do at best:
//   ponder_model_bench [-m FILE.gguf | --config CONFIG.json [--layers N] [--dtype TYPE]] [--kv TYPE] [-t THREADS]
//                      [-p PROMPT] [-n DECODE] [-d DEPTH] [--batch N] [--chunk N] [-r REPS] [--compute exact|fast]
//                      [--isa NAME] [--first-token] [--no-limits] [--json]
// Prefill of -p tokens and decode of -n are timed apart, each behind -d tokens; 0 leaves one out. Medians of -r runs. Tokens
// are random, so that experts differ. --batch: so many sequences decode together. --first-token: loads, makes one
// token and ends. --json: one object, for scripts (benchmarks/compare.py).
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#if !defined(_WIN32)
#include <sys/resource.h>
#endif

#include "benchmarks/model/bench_options.h"
#include "benchmarks/model/machine_limits.h"
#include "benchmarks/model/model_cost.h"
#include "lib/model/forward.h"

using namespace ponder;
using namespace ponder::core;
using bench::give_up;
using bench::Options;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

template <class T>
T must(Result<T> result) {
  if (!result.ok()) give_up(result.status().message());
  return std::move(result).value();
}
void must(Status status) {
  if (!status.ok()) give_up(status.message());
}

double peak_rss_bytes() {
#if defined(_WIN32)
  return 0;
#else
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
#if defined(__APPLE__)
  return static_cast<double>(usage.ru_maxrss);
#else
  return static_cast<double>(usage.ru_maxrss) * 1024;
#endif
#endif
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

// Distinct experts of a pass, summed over the layers.
class ExpertCounter final : public ForwardTap {
 public:
  void on_f32(std::string_view, const Tensor&) override {}
  void on_i32(std::string_view name, const std::int32_t* data, std::size_t n_rows, std::size_t n_cols) override {
    if (name.starts_with("moe.") && name.ends_with(".ids"))
      total += static_cast<double>(std::set<std::int32_t>(data, data + n_rows * n_cols).size());
  }
  double total = 0;
};

std::shared_ptr<const Model> load(const Options& o) {
  if (!o.model.empty()) {
    LoadOptions options;
    options.load_mtp = false;
    return must(Model::load(path_source(o.model), options));
  }
  std::ifstream file(o.config);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  if (!file) give_up("cannot read " + o.config);
  return must(Model::random(must(parse_json(text, o.config)), bench::dtype_of(o.dtype), o.layers, 1));
}

// A model with its sequences.
class Runner {
 public:
  Runner(const Options& o, const Model& model, const Context& ctx)
      : o_(o),
        vocab_size_(static_cast<std::uint64_t>(model.config().vocab_size)),
        forward_(must(Forward::create(model, ctx, {.max_rows = std::max(o.chunk, o.batch), .max_logits_rows = o.batch, .int8_rows = o.compute == "fast"}))) {
    const Config& c = model.config();
    layout_ = must(KvLayout::create(c, bench::dtype_of(o.kv)));
    for (std::size_t i = 0; i < o.batch; ++i)
      sequences_.push_back(must(KvCache::create(layout_, o.depth + std::max({o.prompt, o.decode, std::size_t{16}}) + 2)));
    for (KvCache& kv : sequences_) pointers_.push_back(&kv);
  }

  const KvLayout& layout() const { return layout_; }
  double reserved_bytes() const {
    double bytes = 0;
    for (const KvCache& kv : sequences_) bytes += static_cast<double>(kv.reserved_bytes());
    return bytes;
  }
  void fill() {
    for (std::size_t i = 0; i < sequences_.size(); ++i) prefill(i, o_.depth);
  }
  void rewind(std::size_t n_tokens) {
    for (KvCache& kv : sequences_) kv.truncate(n_tokens);
  }
  // In passes of `chunk`, logits of the last row.
  void prefill(std::size_t sequence, std::size_t n_tokens) {
    for (std::size_t done = 0; done < n_tokens;) {
      const std::size_t n = std::min(o_.chunk, n_tokens - done), last[] = {n - 1};
      const SequenceRows rows{pointers_[sequence], 0, n};
      done += n;
      must(forward_.run({random_ids(n), {&rows, 1}, std::span(last, done == n_tokens ? 1 : 0), nullptr}));
    }
  }
  // A token of every sequence in each pass.
  void decode(std::size_t n_passes, ForwardTap* tap = nullptr) {
    rows_.clear();
    logits_.clear();
    for (std::size_t i = 0; i < sequences_.size(); ++i) rows_.push_back({pointers_[i], i, 1}), logits_.push_back(i);
    for (std::size_t i = 0; i < n_passes; ++i) must(forward_.run({random_ids(rows_.size()), rows_, logits_, tap}));
  }

 private:
  std::span<const TokenId> random_ids(std::size_t n) {
    ids_.resize(n);
    for (TokenId& id : ids_)
      id = static_cast<TokenId>(((random_ = random_ * 6364136223846793005u + 1442695040888963407u) >> 33) % vocab_size_);
    return ids_;
  }

  const Options& o_;
  std::uint64_t vocab_size_, random_ = 1;
  Forward forward_;
  KvLayout layout_;
  std::vector<KvCache> sequences_;
  std::vector<KvCache*> pointers_;
  std::vector<SequenceRows> rows_;
  std::vector<std::size_t> logits_;
  std::vector<TokenId> ids_;
};

struct Results {
  double load_s = 0, first_token_s = 0, peak_rss = 0, n_experts = 0;
  std::vector<double> prefill_s, decode_s;
};

Json list(const std::vector<double>& values) {
  Json::Array array;
  for (double value : values) array.emplace_back(value);
  return Json(std::move(array));
}

void print_json(const Options& o, const Model& model, const Runner& runner, const Results& r,
                const bench::MachineLimits& limits, const Json& machine) {
  const bench::ModelCost cost(model);
  Json out = machine;
  out.set("model", model.config().architecture_name);
  out.set("layers", model.config().num_hidden_layers);
  out.set("weight_bytes", model.summary().weight_bytes);
  out.set("kv", o.kv);
  out.set("compute", o.compute);
  out.set("load_s", r.load_s);
  out.set("first_token_s", r.first_token_s);
  out.set("peak_rss_bytes", r.peak_rss);
  out.set("kv_reserved_bytes", runner.reserved_bytes());
  if (!r.prefill_s.empty()) {
    Json test;
    test.set("tokens", static_cast<std::int64_t>(o.prompt));
    test.set("depth", static_cast<std::int64_t>(o.depth));
    test.set("seconds", list(r.prefill_s));
    test.set("flops", cost.prefill_flops(static_cast<double>(o.prompt), static_cast<double>(o.depth)));
    test.set("weight_bytes", cost.prefill_bytes(static_cast<double>((o.prompt + o.chunk - 1) / o.chunk)));
    out.set("prefill", test);
  }
  if (!r.decode_s.empty()) {
    const double depth = static_cast<double>(o.depth) + static_cast<double>(o.decode) / 2;
    Json test;
    test.set("passes", static_cast<std::int64_t>(o.decode));
    test.set("depth", static_cast<std::int64_t>(o.depth));
    test.set("batch", static_cast<std::int64_t>(o.batch));
    test.set("seconds", list(r.decode_s));
    test.set("experts_per_pass", r.n_experts);
    test.set("weight_bytes_per_pass", cost.pass_bytes(r.n_experts));
    test.set("kv_bytes_per_sequence", static_cast<double>(runner.layout().token_bytes()) * depth);
    test.set("flops_per_pass", cost.decode_flops(static_cast<double>(o.batch), depth));
    test.set("attention_flops_per_sequence", cost.decode_attention_flops(depth));
    out.set("decode", test);
  }
  if (o.limits) {
    Json of;
    of.set("read_bytes_per_s", limits.read_bytes_per_s);
    of.set("f32_flops_per_s", limits.f32_flops_per_s);
    of.set("bf16_flops_per_s", limits.bf16_flops_per_s);
    of.set("int8_ops_per_s", limits.int8_ops_per_s);
    out.set("limits", of);
  }
  std::printf("%s\n", dump_json(out).c_str());
}

void print_text(const Options& o, const Model& model, const Runner& runner, const Results& r,
                const bench::MachineLimits& limits) {
  const bench::ModelCost cost(model);
  std::printf("load      %.0f ms, first token after %.0f ms, peak RSS %.1f MB (weights %.1f MB, cache %.1f MB reserved)\n",
              r.load_s * 1e3, r.first_token_s * 1e3, r.peak_rss * 1e-6,
              static_cast<double>(model.summary().weight_bytes) * 1e-6, runner.reserved_bytes() * 1e-6);
  if (!r.prefill_s.empty()) {
    const double n = static_cast<double>(o.prompt), seconds = median(r.prefill_s);
    const double flops = cost.prefill_flops(n, static_cast<double>(o.depth)) / seconds;
    std::printf("prefill   %zu tokens at depth %zu: %.1f tokens/s, %.1f GFLOP/s", o.prompt, o.depth, n / seconds, flops * 1e-9);
    const auto share = [&](const char* name, double peak) {
      if (o.limits && peak > 0) std::printf(", %.1f %% of %s", 100 * flops / peak, name);
    };
    share("int8", limits.int8_ops_per_s);
    share("bf16", limits.bf16_flops_per_s);
    share("f32", limits.f32_flops_per_s);
    std::printf("\n");
  }
  if (!r.decode_s.empty()) {
    const double passes = static_cast<double>(o.decode), n = static_cast<double>(o.batch), seconds = median(r.decode_s);
    const double depth = static_cast<double>(o.depth) + passes / 2;
    const double kv = n * static_cast<double>(runner.layout().token_bytes()) * depth, bytes = cost.pass_bytes(r.n_experts) + kv;
    std::printf("decode    %zu x %zu tokens at depth %zu: %.1f tokens/s, %.0f MB per pass (%.1f experts), %.1f GB/s", o.batch,
                o.decode, o.depth, n * passes / seconds, bytes * 1e-6, r.n_experts, bytes * passes / seconds * 1e-9);
    if (o.limits) {
      // Exact compute multiplies in f32.
      const double peak = o.compute == "exact" ? limits.f32_flops_per_s : limits.peak_flops_per_s();
      const double ideal = cost.pass_bytes(r.n_experts) / limits.read_bytes_per_s +
                           std::max(kv / limits.read_bytes_per_s, n * cost.decode_attention_flops(depth) / peak);
      std::printf(", %.1f %% of the bandwidth, %.1f %% of the ideal", 100 * bytes * passes / seconds / limits.read_bytes_per_s,
                  100 * ideal * passes / seconds);
    }
    std::printf("\n");
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Clock::time_point start = Clock::now();
  const Options o = bench::parse_options(argc, argv, PONDER_BENCH_CONFIGS "/deepseek-v2-lite.json");
  Results r;
  const auto pool = must(ThreadPool::create(o.threads));
  auto cap = kernels::highest_isa();
  if (!o.isa.empty() && !kernels::isa_from_name(o.isa.c_str(), cap)) give_up("unknown ISA " + o.isa);
  const kernels::Table table = kernels::make_table(cap);
  const auto model = load(o);
  r.load_s = seconds_since(start);
  Context ctx;
  ctx.kernels = &table;
  ctx.pool = pool.get();
  ctx.compute = o.compute == "fast" ? Compute::fast : Compute::exact;
  const auto onednn = ops::Onednn::load_if_faster();
  ctx.onednn = onednn.get();
  Runner runner(o, *model, ctx);
  runner.decode(1);
  r.first_token_s = seconds_since(start);
  runner.rewind(0);
  if (!o.first_token) {
    constexpr std::size_t kWarmUp = 128;  // tokens: most experts of most models, so that their pages are mapped
    runner.prefill(0, std::min(kWarmUp, o.depth + std::max(o.prompt, o.decode)));
    runner.rewind(0);
    runner.fill();
    for (int rep = 0; rep < o.reps; ++rep) {
      if (o.prompt > 0) {
        const Clock::time_point t = Clock::now();
        runner.prefill(0, o.prompt);
        r.prefill_s.push_back(seconds_since(t));
        runner.rewind(o.depth);
      }
      if (o.decode > 0) {
        runner.decode(1);  // wakes threads
        runner.rewind(o.depth);
        const Clock::time_point t = Clock::now();
        runner.decode(o.decode);
        r.decode_s.push_back(seconds_since(t));
        runner.rewind(o.depth);
      }
    }
    if (o.decode > 0) {
      const std::size_t n_passes = std::min<std::size_t>(o.decode, 16);
      ExpertCounter counter;
      runner.decode(n_passes, &counter);
      r.n_experts = counter.total / static_cast<double>(n_passes);
    }
  }
  r.peak_rss = peak_rss_bytes();

  bench::MachineLimits limits;  // behind all that counts memory
  for (int i = 0; i < 2 && o.limits; ++i)
    limits.raise_to(bench::measure_limits(pool->n_threads(), table.isa == kernels::Isa::avx2));
  if (o.json) {
    Json machine;
    machine.set("program", "ponder");
    machine.set("threads", pool->n_threads());
    machine.set("isa", kernels::isa_name(table.isa));
    print_json(o, *model, runner, r, limits, std::move(machine));
    return 0;
  }
  const Config& c = model->config();
  if (o.limits)
    std::printf("machine   read %.1f GB/s, f32 %.0f GFLOP/s (%s), bf16 %.0f GFLOP/s, int8 %.0f Gop/s (%s)\n",
                limits.read_bytes_per_s * 1e-9, limits.f32_flops_per_s * 1e-9, limits.f32_isa,
                limits.bf16_flops_per_s * 1e-9, limits.int8_ops_per_s * 1e-9, limits.int8_isa);
  std::printf("model     %s, %lld layers, %s cache, %s compute, %d threads, kernels up to %s\n", c.architecture_name.c_str(),
              static_cast<long long>(c.num_hidden_layers), o.kv.c_str(), o.compute.c_str(), pool->n_threads(),
              kernels::isa_name(table.isa));
  print_text(o, *model, runner, r, limits);
  return 0;
}
