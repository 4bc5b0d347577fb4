#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "examples/cli/common.h"

namespace cli {

namespace {

// Members one per line, nested objects indented; keys that hold bytes are shown in units.
void print(const nlohmann::ordered_json& object, int indent, bool bytes) {
  for (const auto& [key, value] : object.items()) {
    const bool value_bytes = bytes || key.find("bytes") != std::string::npos || key == "memory_plan";
    if (value.is_object()) {
      std::printf("%*s%s\n", indent, "", key.c_str());
      print(value, indent + 2, value_bytes);
    } else if (value.is_number_integer() && value_bytes && key != "context_length") {
      std::printf("%*s%-*s %s\n", indent, "", 28 - indent, key.c_str(), human_bytes(value.get<double>()).c_str());
    } else {
      std::printf("%*s%-*s %s\n", indent, "", 28 - indent, key.c_str(),
                  (value.is_string() ? value.get<std::string>() : value.dump()).c_str());
    }
  }
}

}  // namespace

void add_inspect(CLI::App& app) {
  struct Options {
    std::string model;
    bool json = false;
    std::int64_t context = 0;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("inspect", "What a checkpoint is and what memory it needs, before any weight is read");
  command->add_option("-m,--model", options->model, "Checkpoint folder, GGUF file, or the name of a model on this machine; without it the embedded default model");
  command->add_flag("--json", options->json, "One JSON object");
  command->add_option("-c,--context", options->context, "Context length of the memory plan, in tokens");
  command->callback([options] {
    const ponder::SessionOptions session{.context_length = options->context};
    const std::string text = unwrap(options->model.empty() ? ponder::Model::inspect_memory(embedded_model(), session)
                                                           : ponder::Model::inspect(unwrap(ponder::Model::resolve(options->model)), session));
    if (options->json)
      std::printf("%s\n", text.c_str());
    else
      print(nlohmann::ordered_json::parse(text), 0, false);
  });
}

}  // namespace cli
