#include "benchmarks/model/bench_options.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>

namespace ponder::bench {

void give_up(const std::string& why) {
  std::fprintf(stderr, "ponder_model_bench: %s\n", why.c_str());
  std::exit(1);
}

Options parse_options(int argc, char** argv, const std::string& default_config) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--json") o.json = true;
    else if (name == "--no-limits") o.limits = false;
    else if (name == "--first-token") o.first_token = true;
    else if (++i == argc) give_up(name + " wants a value");
    else {
      const std::string value = argv[i];
      const auto number = [&] {
        char* end = nullptr;
        const std::size_t n = std::strtoull(value.c_str(), &end, 10);
        if (value.empty() || *end) give_up(name + ": " + value + " is no number");
        return n;
      };
      if (name == "-m" || name == "--model") o.model = value;
      else if (name == "--config") o.config = value;
      else if (name == "--dtype") o.dtype = value;
      else if (name == "--kv") o.kv = value;
      else if (name == "--compute") o.compute = value;
      else if (name == "--isa") o.isa = value;
      else if (name == "--layers") o.layers = static_cast<std::int64_t>(number());
      else if (name == "--chunk") o.chunk = number();
      else if (name == "--batch") o.batch = number();
      else if (name == "-t") o.threads = static_cast<int>(number());
      else if (name == "-r") o.reps = std::max(1, static_cast<int>(number()));
      else if (name == "-p") o.prompt = number();
      else if (name == "-n") o.decode = number();
      else if (name == "-d") o.depth = number();
      else give_up("unknown option " + name);
    }
  }
  if (o.chunk == 0 || o.batch == 0) give_up("--chunk and --batch must be above 0");
  if (o.compute != "exact" && o.compute != "fast") give_up("--compute is exact or fast");
  if (o.model.empty() && o.config.empty()) {
    o.config = default_config;
    if (o.layers == 0) o.layers = 4;
  }
  return o;
}

core::DType dtype_of(const std::string& name) {
  if (name == "fp8") return core::DType::f8_e4m3;
  for (std::size_t i = 0; i < core::kDTypeCount; ++i) {
    std::string known(core::dtype_name(static_cast<core::DType>(i)));
    for (char& letter : known) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    if (known == name) return static_cast<core::DType>(i);
  }
  give_up("unknown type " + name);
}

}  // namespace ponder::bench
