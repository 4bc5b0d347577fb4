// Importance matrices: how much each column of a tensor matters to a model's results.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/io/file_source.h"

namespace ponder::core {

// By the tensor's name in GGUF: [n_cols], or [n_experts, n_cols] for each expert its own; finite, >= 0. Tensors that are
// not in it are quantised as if all columns mattered the same.
using Importance = std::map<std::string, std::vector<float>, std::less<>>;

// The GGUF files of llama.cpp's imatrix: per tensor X the sums of squared activations, X.in_sum2 [n_experts, n_cols], and
// how many went in, X.counts [n_experts, 1]. An expert that none reached has zeros.
Result<Importance> read_importance(FileView file);

}  // namespace ponder::core
