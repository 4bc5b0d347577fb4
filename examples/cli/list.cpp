#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "examples/cli/common.h"

namespace cli {

void add_list(CLI::App& app) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("list", "Models of Ollama, the Hugging Face hub cache and LM Studio on this machine");
  command->add_flag("--json", *json, "One JSON array");
  command->callback([json] {
    const std::string text = unwrap(ponder::Model::list());
    if (*json) {
      std::printf("%s\n", text.c_str());
      return;
    }
    const auto models = nlohmann::ordered_json::parse(text);
    if (models.empty()) {
      std::printf("no models of Ollama, the Hugging Face hub cache or LM Studio on this machine\n");
      return;
    }
    std::size_t width = 4;
    for (const auto& model : models) width = std::max(width, model["name"].get_ref<const std::string&>().size());
    const int n_width = static_cast<int>(width);
    std::printf("%-*s  %-11s  %10s  %s\n", n_width, "name", "program", "size", "runs");
    for (const auto& model : models) {
      const bool runs = model["runnable"];
      std::string note = "no: ";
      if (runs) {
        char parameters[64];
        const double n_parameters = model["parameters"];
        const bool large = n_parameters >= 1e9;
        std::snprintf(parameters, sizeof parameters, ", %.2f %s parameters", n_parameters * (large ? 1e-9 : 1e-6), large ? "B" : "M");
        note = "yes: " + model["architecture"].get<std::string>() + parameters;
      } else {
        note += model["problem"].get<std::string>();
        std::replace(note.begin(), note.end(), '\n', ' ');
      }
      std::printf("%-*s  %-11s  %10s  %s\n", n_width, model["name"].get<std::string>().c_str(),
                  model["program"].get<std::string>().c_str(), human_bytes(model["bytes"].get<double>()).c_str(), note.c_str());
    }
  });
}

}  // namespace cli
