#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "benchmarks/model/machine_limits.h"
#include "examples/cli/common.h"

#if !defined(_WIN32)
#include <sys/resource.h>
#endif

namespace cli {

namespace {

struct Options {
  ModelOptions model;
  std::string random_weights, dtype = "bf16", compute;
  ponder_kv_type kv_type = PONDER_KV_DEFAULT;
  int layers = 0, prompt = 512, generate = 64, depth = 0, repetitions = 3, chunk = 0;
  bool json = false, no_limits = false;
};

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

struct Spread {
  double median = 0, min = 0, max = 0;
};
Spread spread(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  return {values[values.size() / 2], values.front(), values.back()};
}

std::vector<std::int32_t> random_ids(int n, int vocab_size, std::uint64_t& state) {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < n; ++i) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    ids.push_back(static_cast<std::int32_t>((state >> 33) % static_cast<std::uint64_t>(vocab_size)));
  }
  return ids;
}

// Shares of what the machine can do at best. Prefill counts two operations per active weight (the embedding looked up, the
// head for one position) without attention; decode counts the active weights' bytes and the cache that is read.
struct Shares {
  double prefill = 0, decode = 0;
};
Shares shares_of(const ponder::bench::MachineLimits& limits, const ponder_model_info& info, const Options& o,
                 bool exact, double prefill_per_s, double decode_per_s) {
  const double matrix = static_cast<double>(info.vocab_size) * info.hidden_size;
  const double flops = 2 * (static_cast<double>(info.n_active_parameters) - 2 * matrix);
  const double kv = static_cast<double>(info.kv_bytes_per_token) / (exact ? 1 : 2) * (o.depth + o.generate / 2.0);
  return {flops * prefill_per_s / limits.peak_flops_per_s(),
          (static_cast<double>(info.active_weight_bytes) + kv) * decode_per_s / limits.read_bytes_per_s};
}

void run(Options o) {
  using Clock = std::chrono::steady_clock;
  const auto seconds = [](Clock::time_point since) {
    return std::chrono::duration<double>(Clock::now() - since).count();
  };
  const Clock::time_point start = Clock::now();
  const ponder::Model model = [&] {
    if (o.random_weights.empty()) return load_model(o.model);
    ponder::LoadOptions load;
    load.runtime = unwrap(ponder::Runtime::create(runtime_options(o.model)));
    return unwrap(ponder::Model::random(read_text_file(o.random_weights), o.dtype, o.layers, 1, load));
  }();
  const double load_ms = seconds(start) * 1e3;
  const ponder_model_info info = model.info();
  // A model with a short context (the default one) is measured with what fits.
  const int room = std::max(info.max_position_embeddings - o.depth - 1, 2);
  o.prompt = std::min(o.prompt, room - std::min(o.generate, room / 2));
  o.generate = std::min(o.generate, room - o.prompt);
  ponder::Session session = unwrap(model.session({.context_length = o.depth + o.prompt + o.generate + 1,
                                                  .prefill_chunk = o.chunk,
                                                  .compute = parse_compute(o.compute), .kv_type = o.kv_type}));
  ponder::GenerateOptions generate;
  generate.params.flags = PONDER_GENERATE_IGNORE_EOS;
  unwrap(session.set_options(generate));
  std::uint64_t state = 1;
  std::vector<double> prefill, decode;
  // The limits are taken before and after what is compared with them, behind the warm-up, whose peak RSS is the model's own.
  ponder::bench::MachineLimits limits;
  const auto measure_limits = [&] {
    if (!o.no_limits) limits.raise_to(ponder::bench::measure_limits(model.runtime().n_threads()));
  };
  double peak_rss = 0;
  for (int r = 0; r <= o.repetitions; ++r) {  // round 0 warms up
    if (o.depth > 0)
      unwrap(session.prompt_ids(random_ids(o.depth, info.vocab_size, state)));
    else
      unwrap(session.prompt_ids(random_ids(1, info.vocab_size, state)));
    if (o.prompt > 0) {
      const std::vector<std::int32_t> ids = random_ids(o.prompt, info.vocab_size, state);
      const Clock::time_point t = Clock::now();
      unwrap(o.depth > 0 ? session.append_ids(ids) : session.prompt_ids(ids));
      if (r) prefill.push_back(o.prompt / seconds(t));
    }
    if (o.generate > 0) {
      // Decode is measured at `depth`, not behind the prompt that was just measured.
      if (o.depth > 0) unwrap(session.rewind(static_cast<std::size_t>(o.depth)));
      else unwrap(session.prompt_ids(random_ids(1, info.vocab_size, state)));
      (void)unwrap(session.next());
      const Clock::time_point t = Clock::now();
      int n = 0;
      while (n < o.generate && unwrap(session.next())) ++n;
      if (r) decode.push_back(n / seconds(t));
    }
    if (r == 0) {
      peak_rss = peak_rss_bytes();
      measure_limits();
    }
  }
  measure_limits();
  const Spread p = spread(prefill), d = spread(decode);
  Shares share;
  if (!o.no_limits) share = shares_of(limits, info, o, parse_compute(o.compute) == PONDER_COMPUTE_EXACT, p.median, d.median);
  if (o.json) {
    const auto object = [](const Spread& s) {
      return nlohmann::ordered_json{{"median", s.median}, {"min", s.min}, {"max", s.max}};
    };
    nlohmann::ordered_json out;
    out["isa"] = model.runtime().isa();
    out["threads"] = model.runtime().n_threads();
    out["parameters"] = info.n_parameters;
    out["active_parameters"] = info.n_active_parameters;
    out["weight_bytes"] = info.weight_bytes;
    out["prompt"] = o.prompt, out["generate"] = o.generate, out["depth"] = o.depth;
    out["prefill_tokens_per_s"] = object(p);
    out["decode_tokens_per_s"] = object(d);
    out["load_ms"] = load_ms;
    out["peak_rss_bytes"] = peak_rss;
    if (!o.no_limits) {
      out["limits"] = {{"read_bytes_per_s", limits.read_bytes_per_s},
                       {"f32_flops_per_s", limits.f32_flops_per_s},
                       {"bf16_flops_per_s", limits.bf16_flops_per_s}};
      out["prefill_share_of_peak"] = share.prefill;
      out["decode_share_of_bandwidth"] = share.decode;
    }
    std::printf("%s\n", out.dump().c_str());
    return;
  }
  std::printf("%s, %d threads, %.2f M parameters (%.2f M active), load %.0f ms, peak RSS %.2f GB\n",
              model.runtime().isa().c_str(), model.runtime().n_threads(), static_cast<double>(info.n_parameters) / 1e6,
              static_cast<double>(info.n_active_parameters) / 1e6, load_ms, peak_rss / 1e9);
  if (o.prompt) std::printf("prefill %5d tokens  %9.2f tokens/s  (%.2f to %.2f)\n", o.prompt, p.median, p.min, p.max);
  if (o.generate)
    std::printf("decode  %5d tokens  %9.2f tokens/s  (%.2f to %.2f) at depth %d\n", o.generate, d.median, d.min, d.max,
                o.depth);
  if (o.no_limits) return;
  std::printf("limits: read %.1f GB/s, f32 %.0f GFLOP/s, bf16 %.0f GFLOP/s\n", limits.read_bytes_per_s * 1e-9,
              limits.f32_flops_per_s * 1e-9, limits.bf16_flops_per_s * 1e-9);
  std::printf("shares: prefill %.1f %% of the %s, decode %.1f %% of the bandwidth bound\n", 100 * share.prefill,
              limits.peak_name(), 100 * share.decode);
}

}  // namespace

void add_bench(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("bench", "Prefill and decode speed");
  add_model_options(*command, o->model);
  command->add_option("--random-weights", o->random_weights, "Official config.json: measure its geometry with random weights")
      ->excludes("--weight-type");
  command->add_option("--dtype", o->dtype, "Of random weights")->check(CLI::IsMember({"f32", "f16", "bf16", "fp8"}));
  command->add_option("--layers", o->layers, "Cut the random model to so many layers");
  command->add_option("-p,--prompt-tokens", o->prompt, "Prefill tokens")->check(CLI::NonNegativeNumber);
  command->add_option("-n,--new-tokens", o->generate, "Decode tokens")->check(CLI::NonNegativeNumber);
  command->add_option("-d,--depth", o->depth, "Tokens already in the cache")->check(CLI::NonNegativeNumber);
  command->add_option("-r,--repetitions", o->repetitions, "Counted rounds")->check(CLI::Range(1, 1000));
  command->add_option("--chunk", o->chunk, "Prefill chunk, in tokens");
  command->add_option("--compute", o->compute, "exact or fast")->check(CLI::IsMember({"exact", "fast"}));
  add_kv_option(*command, o->kv_type);
  command->add_flag("--no-limits", o->no_limits, "Do not measure what the machine can do at best (takes seconds)");
  command->add_flag("--json", o->json, "One JSON object");
  command->callback([o] { run(*o); });
}

}  // namespace cli
