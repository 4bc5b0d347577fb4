// What config.json says, out of a GGUF file: metadata keys of llama.cpp's architectures deepseek2, qwen2 and llama.
#pragma once

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/io/gguf.h"
#include "lib/io/json.h"
#include "lib/model/config.h"

namespace ponder::core {

struct GgufConfig {
  Json json;  // the config.json that the model would have, without what a file of tensors decides
  Config config;
  std::vector<std::string> warnings;  // group limits that an old file lacks, restored
};

// Every missing, mistyped or impossible key is named in one message, by the file's own names. Tensors decide where the keys
// do not: attn_q (no q_lora_rank), output (untied head), attn_q.bias of llama, rope_freqs.
Result<GgufConfig> read_gguf_config(const GgufCheckpoint& checkpoint);

}  // namespace ponder::core
