// Which type each tensor of a GGUF file is written in: one for all, or llama.cpp's mixes (Q4_K_M and the like), which
// spend more bits where errors cost most.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "lib/base/tensor.h"
#include "lib/model/config.h"

namespace ponder::core {

struct Mix {
  std::string_view name;      // "q4_k_m"
  DType base;                 // of most tensors
  std::uint32_t file_type;    // general.file_type, llama.h's llama_ftype
  enum Size { plain, small, medium, large } size = plain;
};

const std::vector<Mix>& mixes();
// By name, in either case; "q3_k", "q4_k" and "q5_k" are the medium ones. An unknown name is an error that lists all.
Result<Mix> find_mix(std::string_view name);

// The type for the tensor `name`, as GGUF names it. Norms, biases, the router and everything of one dimension stay F32.
// Rows that are no whole blocks get a type of smaller blocks, at last F16: `fallback` says so.
struct ChosenType {
  DType type;
  bool fallback;
};
ChosenType choose_type(const Mix& mix, const Config& config, bool has_importance, std::string_view name,
                       const Shape& shape);

}  // namespace ponder::core
