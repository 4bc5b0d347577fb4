// What the commands of the ponder program share. Built on the public C++ API only.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ponder/ponder.hpp"

namespace cli {

// Ends the program from anywhere below main with this message and exit code 1.
struct Failure {
  std::string message;
};

template <class T>
T unwrap(ponder::Result<T> result) {
  if (!result) throw Failure{result.error().message()};
  return std::move(result).value();
}

struct ModelOptions {
  std::string model;  // empty: the embedded default model
  int threads = 0;
  std::string isa;
  std::string weight_type;  // empty: the weights as they lie
  std::int64_t memory_limit = 0;  // bytes; 0: none
  bool quiet = false;  // no progress bar
};
void add_model_options(CLI::App& app, ModelOptions& options);
ponder::RuntimeOptions runtime_options(const ModelOptions& options);
ponder::Model load_model(const ModelOptions& options);

// The files of the embedded default model; empty when the program was built without it.
std::vector<ponder_memory_file> embedded_model();

std::string read_text_file(const std::string& path);  // "-" reads standard input
std::vector<std::int32_t> parse_ids(std::string_view text);  // "1,2,3", blanks and newlines also separate
std::string parse_kwargs(const std::vector<std::string>& pairs);  // NAME=VALUE each, to one JSON object
bool is_terminal(int fd);
std::string human_bytes(double bytes);  // "1.23 GB"
ponder_compute parse_compute(const std::string& name);  // "exact", "fast", "" (default)
void add_kv_option(CLI::App& command, ponder_kv_type& type);  // --kv

// Each adds its subcommand, which runs when it was named.
void add_run(CLI::App& app);
void add_inspect(CLI::App& app);
void add_quantize(CLI::App& app);
void add_imatrix(CLI::App& app);
void add_list(CLI::App& app);
void add_tokenize(CLI::App& app);
void add_template(CLI::App& app);
void add_logits(CLI::App& app);
void add_embed(CLI::App& app);
void add_bench(CLI::App& app);
void add_perplexity(CLI::App& app);
void add_compare(CLI::App& app);
void add_selftest(CLI::App& app);
void add_manual(CLI::App& app);

}  // namespace cli
