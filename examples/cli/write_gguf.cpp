#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "examples/cli/common.h"

namespace cli {

namespace {

// Ctrl-C or a request to end stops the work at its next step, so that nothing is left of the file.
volatile std::sig_atomic_t stopped = 0;
void on_stop(int) { stopped = 1; }

// One line on the terminal, rewritten four times a second: a bar, bytes, speed of writing and the time left.
class Progress {
 public:
  void show(std::uint64_t done, std::uint64_t total) {
    const auto now = Clock::now();
    if (done < total && now - shown_ < std::chrono::milliseconds(250)) return;
    shown_ = now;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const double fraction = total ? static_cast<double>(done) / static_cast<double>(total) : 1;
    const double left = fraction > 0 ? seconds / fraction - seconds : 0;
    const int bar = static_cast<int>(fraction * 30);
    std::fprintf(stderr, "\r[%-30.*s] %3d %%  %s of %s  %d:%02d left ", bar, "##############################",
                 static_cast<int>(fraction * 100), human_bytes(static_cast<double>(done)).c_str(),
                 human_bytes(static_cast<double>(total)).c_str(), static_cast<int>(left) / 60, static_cast<int>(left) % 60);
  }
  static void clear() { std::fprintf(stderr, "\r%79s\r", ""); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now(), shown_{};
};

}  // namespace

void add_quantize(CLI::App& app) {
  struct Options {
    std::string model, output, isa;
    ponder::QuantizeOptions quantize;
    int threads = 0;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("quantize", "Write a checkpoint as a GGUF file, its weights in another type");
  command->add_option("-m,--model", options->model, "Checkpoint folder or GGUF file")->required();
  command->add_option("-o,--output", options->output, "The GGUF file to write; one that is there is replaced")->required();
  command->add_option("--type", options->quantize.type,
                      "q4_k_m (default), q8_0, q6_k, q5_k_m, q5_k_s, q4_k_s, q3_k_l, q3_k_m, q3_k_s, q2_k, q2_k_s, iq4_xs, "
                      "iq4_nl, q5_1, q5_0, q4_1, q4_0, bf16, f16, f32");
  command->add_option("--imatrix", options->quantize.imatrix, "Importance matrix, a GGUF file of llama.cpp's imatrix");
  command->add_option("-t,--threads", options->threads, "Compute threads (default: one per core)")->check(CLI::Range(0, 4096));
  command->add_option("--max-isa", options->isa, "Highest instruction set: ref, avx2, avx512, avx512bf16, neon");
  command->add_flag("--json", options->json, "The report as one JSON object");
  command->callback([options] {
    options->quantize.runtime = unwrap(ponder::Runtime::create({.n_threads = options->threads, .max_isa = options->isa}));
    const bool bar = is_terminal(2);
    options->quantize.progress = [bar, line = Progress()](std::uint64_t done, std::uint64_t total, std::string_view) mutable {
      if (bar) line.show(done, total);
      return stopped == 0;
    };
    const auto on_interrupt = std::signal(SIGINT, on_stop), on_end = std::signal(SIGTERM, on_stop);
    const auto result = ponder::Model::quantize(options->model, options->output, options->quantize);
    std::signal(SIGINT, on_interrupt);
    std::signal(SIGTERM, on_end);
    if (bar) Progress::clear();
    const std::string text = unwrap(result);
    if (options->json) {
      std::printf("%s\n", text.c_str());
      return;
    }
    const auto report = nlohmann::ordered_json::parse(text);
    for (const auto& warning : report["warnings"]) std::fprintf(stderr, "warning: %s\n", warning.get<std::string>().c_str());
    std::printf("%s: %s, %d tensors\n", options->output.c_str(), human_bytes(report["file_bytes"].get<double>()).c_str(),
                report["n_tensors"].get<int>());
    for (const auto& [type, bytes] : report["bytes_by_type"].items())
      std::printf("  %-8s %s\n", type.c_str(), human_bytes(bytes.get<double>()).c_str());
  });
}

}  // namespace cli
