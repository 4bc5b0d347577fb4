// A model's weights in another type, in memory: what quantize_model would write, tensor for tensor and key for key, without
// a file.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lib/base/buffer.h"
#include "lib/io/gguf.h"
#include "lib/model/model.h"
#include "lib/model/quantize_mix.h"
#include "lib/ops/context.h"

namespace ponder::core {

struct ConvertedModel {
  // As the file would have it, without tokenizer. Tensors that have their type already, and the form that GGUF wants, lie
  // where they lay: in the files of the model that was converted.
  GgufCheckpoint checkpoint;
  bool uses_files = false;      // some do
  std::vector<Buffer> buffers;  // what the others lie in
  MemoryCharge charge;          // for them
  std::vector<std::string> warnings;
};

// out_of_memory, before any work, where the result is beyond the limit of ctx.memory. progress: the fraction done, on the calling thread; false cancels. Memory: the result and some 32 MiB, but for tensors
// whose rows are not read in order (q and k of llama, kv_b_proj), which are in memory as a whole.
Result<ConvertedModel> convert_model(const Context& ctx, const Model& model, const Mix& mix, std::string_view name,
                                     const std::function<bool(float)>& progress);

}  // namespace ponder::core
