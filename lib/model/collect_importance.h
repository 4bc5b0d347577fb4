// Importance matrices of a model: the mean square of what meets each column of each weight while the model reads a text.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "lib/base/status.h"
#include "lib/io/output_file.h"
#include "lib/model/model.h"
#include "lib/ops/context.h"

namespace ponder::core {

struct CollectOptions {
  std::size_t chunk_tokens = 512;  // read at once, each chunk on its own and behind the BOS where the model has one
  std::size_t max_chunks = 0;      // 0: all that the text fills; what is left over is not read
  std::string dataset = "text";    // what the file calls the text
  // On the calling thread, after every chunk; false cancels.
  std::function<bool(std::size_t done_chunks, std::size_t n_chunks)> progress;
};

struct CollectReport {
  std::size_t n_chunks = 0, n_tensors = 0;
  std::size_t unreached_experts = 0;  // of all layers: no token was routed to them, their columns count the same
};

// Writes the file that importance.h and llama.cpp read. `ids`: the text, without BOS. Of MLA's k_b and v_b, of the embedding
// and of the head nothing is collected.
Result<CollectReport> collect_importance(const Context& ctx, const Model& model, std::span<const TokenId> ids,
                                         std::unique_ptr<OutputFile> output, const CollectOptions& options);

}  // namespace ponder::core
