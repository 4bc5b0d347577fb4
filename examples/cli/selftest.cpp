#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "examples/cli/common.h"

namespace cli {

void add_selftest(CLI::App& app) {
  struct Options {
    bool json = false, all = false;
    std::string isa;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("selftest", "The kernels of this CPU beside their scalar reference");
  command->add_flag("--json", options->json, "The report as one JSON object");
  command->add_flag("--all", options->all, "A line for every kernel, not only for those that fail");
  command->add_option("--isa", options->isa, "Kernels up to this instruction set")->option_text("NAME");
  command->callback([options] {
    ponder::RuntimeOptions runtime_options;
    runtime_options.n_threads = 1;
    runtime_options.max_isa = options->isa;
    const ponder::Runtime runtime = unwrap(ponder::Runtime::create(runtime_options));
    std::string text;
    const ponder::Result<std::string> result = runtime.selftest(&text);
    if (text.empty()) unwrap(result);
    if (options->json) {
      std::printf("%s\n", text.c_str());
    } else {
      const auto report = nlohmann::ordered_json::parse(text);
      for (const auto& check : report["checks"]) {
        if (check["ok"] && !options->all) continue;
        std::printf("%-5s %-24s %-10s error %-10.3g bound %.3g\n", check["ok"] ? "ok" : "WRONG",
                    check["kernel"].get<std::string>().c_str(), check["isa"].get<std::string>().c_str(),
                    check["error"].is_null() ? std::nan("") : check["error"].get<double>(), check["bound"].get<double>());
      }
      std::printf("%s: %zu kernels, %lld wrong\n", report["isa"].get<std::string>().c_str(), report["checks"].size(),
                  report["n_failed"].get<long long>());
    }
    if (!result) throw Failure{result.error().message()};
  });
}

}  // namespace cli
