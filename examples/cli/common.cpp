#include "examples/cli/common.h"

#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "examples/cli/progress.h"

#if defined(_WIN32)
#include <io.h>
#else
#include <unistd.h>
#endif

namespace cli {

bool is_terminal(int fd) {
#if defined(_WIN32)
  return _isatty(fd) != 0;
#else
  return isatty(fd) != 0;
#endif
}

void add_model_options(CLI::App& app, ModelOptions& options) {
  app.add_option("-m,--model", options.model, "Checkpoint folder, GGUF file, or the name of a model on this machine (ponder list); without it the embedded default model");
  app.add_option("-t,--threads", options.threads, "Compute threads (default: one per core)")->check(CLI::Range(0, 4096));
  app.add_option("--max-isa", options.isa, "Highest instruction set: ref, avx2, avx512, avx512vnni, avx512bf16, neon");
  app.add_option("--weight-type", options.weight_type, "Convert the weights in memory while loading: q8_0, q4_k_m, ... (the types of quantize)");
  app.add_option("--memory-limit", options.memory_limit,
                 "Most memory of weights (mapped ones too), KV cache and all else that is large, such as 4GB; beyond it an error")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::NonNegativeNumber)
      ->type_name("SIZE");
}

ponder::RuntimeOptions runtime_options(const ModelOptions& options) {
  return {.n_threads = options.threads, .max_isa = options.isa, .memory_limit = options.memory_limit};
}

ponder::Model load_model(const ModelOptions& options) {
  Progress progress("loading", !options.quiet && !options.model.empty());
  ponder::LoadOptions load;
  load.progress = [&](float fraction) {
    progress.show(fraction);
    return true;
  };
  load.weight_type = options.weight_type;
  load.runtime = unwrap(ponder::Runtime::create(runtime_options(options)));
  if (!options.model.empty()) return unwrap(ponder::Model::load(unwrap(ponder::Model::resolve(options.model)), load));
  const std::vector<ponder_memory_file> files = embedded_model();
  if (files.empty()) throw Failure{"this program was built without the default model: name one with --model"};
  return unwrap(ponder::Model::load_memory(files, load));
}

std::string read_text_file(const std::string& path) {
  if (path == "-") return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Failure{path + ": cannot be opened"};
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::int32_t> parse_ids(std::string_view text) {
  std::vector<std::int32_t> ids;
  std::size_t i = 0;
  const auto separator = [](char c) { return c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '[' || c == ']'; };
  while (i < text.size()) {
    if (separator(text[i])) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < text.size() && !separator(text[end])) ++end;
    const std::string word(text.substr(i, end - i));
    try {
      std::size_t used = 0;
      const long long id = std::stoll(word, &used);
      if (used != word.size() || id < 0 || id > INT32_MAX) throw Failure{""};
      ids.push_back(static_cast<std::int32_t>(id));
    } catch (...) {
      throw Failure{"'" + word + "' is no token id: want whole numbers from 0, separated by commas"};
    }
    i = end;
  }
  return ids;
}

std::string parse_kwargs(const std::vector<std::string>& pairs) {
  using nlohmann::ordered_json;
  ordered_json kwargs = ordered_json::object();
  for (const std::string& pair : pairs) {
    const std::size_t equal = pair.find('=');
    if (equal == std::string::npos || equal == 0) throw Failure{"--kwarg " + pair + ": want NAME=VALUE"};
    const std::string text = pair.substr(equal + 1);
    ordered_json value = ordered_json::parse(text, nullptr, false);
    kwargs[pair.substr(0, equal)] = value.is_discarded() ? ordered_json(text) : value;
  }
  return kwargs.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string human_bytes(double bytes) {
  const char* units[] = {"B", "KB", "MB", "GB", "TB"};
  int unit = 0;
  while (bytes >= 1000 && unit < 4) bytes /= 1000, ++unit;
  char text[32];
  std::snprintf(text, sizeof text, unit ? "%.2f %s" : "%.0f %s", bytes, units[unit]);
  return text;
}

ponder_compute parse_compute(const std::string& name) {
  if (name == "exact") return PONDER_COMPUTE_EXACT;
  return name == "fast" ? PONDER_COMPUTE_FAST : PONDER_COMPUTE_DEFAULT;
}

void add_kv_option(CLI::App& command, ponder_kv_type& type) {
  const std::map<std::string, ponder_kv_type> names = {
      {"f32", PONDER_KV_F32}, {"f16", PONDER_KV_F16}, {"bf16", PONDER_KV_BF16}, {"q8_0", PONDER_KV_Q8_0}, {"fp8", PONDER_KV_FP8}};
  command.add_option("--kv", type, "Type of the KV cache: f32, f16, bf16, q8_0, fp8 (latent caches)")
      ->transform(CLI::CheckedTransformer(names));
}

}  // namespace cli
