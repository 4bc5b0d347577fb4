// The command line of ponder_model_bench.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "lib/base/dtype.h"

namespace ponder::bench {

struct Options {
  std::string model;  // a GGUF file or checkpoint folder; empty: random weights
  std::string config, dtype = "bf16", kv = "f32", compute = "exact", isa;
  std::int64_t layers = 0;
  int threads = 0, reps = 3;
  std::size_t prompt = 512, decode = 64, depth = 0, chunk = 512, batch = 1;
  bool json = false, limits = true, first_token = false;
};

// Ends the program with a message.
[[noreturn]] void give_up(const std::string& why);

// default_config: the geometry of random weights where none is named.
Options parse_options(int argc, char** argv, const std::string& default_config);

core::DType dtype_of(const std::string& name);  // "bf16", "fp8", "q8_0", ...

}  // namespace ponder::bench
