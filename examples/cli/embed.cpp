// Vectors of text lines, for search and clustering.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "examples/cli/common.h"

namespace cli {

namespace {

struct Options {
  ModelOptions model;
  std::vector<std::string> prompts;
  std::string pooling = "mean", compute;
  ponder_kv_type kv_type = PONDER_KV_DEFAULT;
  long long context = 0;
  bool normalize = false, special = false;
};

constexpr std::size_t kLinesAtOnce = 64;

void run(const Options& o) {
  const ponder::Model model = load_model(o.model);
  ponder::Session session = unwrap(
      model.session({.context_length = o.context, .compute = parse_compute(o.compute), .kv_type = o.kv_type}));
  const ponder::EmbedOptions options{.pooling = o.pooling == "last" ? PONDER_POOLING_LAST : PONDER_POOLING_MEAN,
                                     .normalize = o.normalize,
                                     .parse_special = o.special};
  const auto write = [&](const std::vector<std::string>& texts) {
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    const std::vector<float> vectors = unwrap(session.embed(views, options));
    const std::size_t width = texts.empty() ? 0 : vectors.size() / texts.size();
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const auto first = vectors.begin() + static_cast<std::ptrdiff_t>(i * width);
      std::printf("%s\n", nlohmann::json(std::vector<float>(first, first + static_cast<std::ptrdiff_t>(width))).dump().c_str());
    }
    std::fflush(stdout);
  };
  if (!o.prompts.empty()) return write(o.prompts);
  std::vector<std::string> lines;
  for (std::string line; std::getline(std::cin, line);) {
    lines.push_back(std::move(line));
    if (lines.size() < kLinesAtOnce) continue;
    write(lines);
    lines.clear();
  }
  write(lines);
}

}  // namespace

void add_embed(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("embed", "Vectors (pooled hidden states) of text lines on standard input, one JSON array per line");
  add_model_options(*command, o->model);
  command->add_option("-p,--prompt", o->prompts, "Texts, in place of standard input");
  command->add_option("--pooling", o->pooling, "mean (of all tokens) or last (token)")->check(CLI::IsMember({"mean", "last"}));
  command->add_flag("--normalize", o->normalize, "Vectors of length 1");
  command->add_flag("--special", o->special, "Recognise special tokens in the texts");
  command->add_option("--context", o->context, "Longest text, in tokens");
  command->add_option("--compute", o->compute, "exact or fast")->check(CLI::IsMember({"exact", "fast"}));
  add_kv_option(*command, o->kv_type);
  command->callback([o] { run(*o); });
}

}  // namespace cli
