#include <csignal>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "examples/cli/common.h"
#include "examples/cli/progress.h"

namespace cli {

namespace {

// Ctrl-C or a request to end stops the work at its next step, so that nothing is left of the file.
volatile std::sig_atomic_t stopped = 0;
void on_stop(int) { stopped = 1; }

// While it lives, Ctrl-C and a request to end are heeded by the work and not by the program.
class StopScope {
 public:
  StopScope() : interrupt_(std::signal(SIGINT, on_stop)), end_(std::signal(SIGTERM, on_stop)) {}
  ~StopScope() {
    std::signal(SIGINT, interrupt_);
    std::signal(SIGTERM, end_);
  }

 private:
  void (*interrupt_)(int);
  void (*end_)(int);
};

double share(std::uint64_t done, std::uint64_t total) { return total ? static_cast<double>(done) / static_cast<double>(total) : 1; }

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
  command->add_option("--max-isa", options->isa, "Highest instruction set: ref, avx2, avx512, avx512vnni, avx512bf16, neon");
  command->add_flag("--json", options->json, "The report as one JSON object");
  command->callback([options] {
    options->quantize.runtime = unwrap(ponder::Runtime::create({.n_threads = options->threads, .max_isa = options->isa}));
    Progress progress("quantize", true);
    options->quantize.progress = [&progress](std::uint64_t done, std::uint64_t total, std::string_view) {
      progress.show(share(done, total), human_bytes(static_cast<double>(done)) + " of " + human_bytes(static_cast<double>(total)));
      return stopped == 0;
    };
    const StopScope scope;
    const auto result = ponder::Model::quantize(unwrap(ponder::Model::resolve(options->model)), options->output, options->quantize);
    progress.clear();
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

void add_imatrix(CLI::App& app) {
  struct Options {
    ModelOptions model;
    std::string text, output;
    int chunk = 0, max_chunks = 0;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("imatrix", "Collect an importance matrix for quantize on a text");
  add_model_options(*command, options->model);
  command->add_option("--text", options->text, "The text to read; - is standard input")->required();
  command->add_option("-o,--output", options->output, "The file to write; one that is there is replaced")->required();
  command->add_option("--chunk", options->chunk, "Tokens read at once (default: 512)")->check(CLI::Range(0, 1 << 30));
  command->add_option("--max-chunks", options->max_chunks, "Chunks to read (default: the whole text)")->check(CLI::Range(0, 1 << 30));
  command->add_flag("--json", options->json, "The report as one JSON object");
  command->callback([options] {
    const std::string text = read_text_file(options->text);
    const ponder::Model model = load_model(options->model);
    Progress progress("imatrix", true);
    const StopScope scope;
    const auto result = model.imatrix(text, options->output, options->chunk, options->max_chunks,
                                      [&progress](std::uint64_t done, std::uint64_t total) {
                                        progress.show(share(done, total), std::to_string(done) + " of " + std::to_string(total) + " chunks");
                                        return stopped == 0;
                                      });
    progress.clear();
    const std::string report = unwrap(result);
    if (options->json) {
      std::printf("%s\n", report.c_str());
      return;
    }
    const auto json = nlohmann::ordered_json::parse(report);
    std::printf("%s: %d tensors, %d chunks\n", options->output.c_str(), json["n_tensors"].get<int>(), json["n_chunks"].get<int>());
    if (const int n = json["unreached_experts"].get<int>())
      std::fprintf(stderr, "warning: %d times an expert's matrix met no token: a longer text would reach it\n", n);
  });
}

}  // namespace cli
