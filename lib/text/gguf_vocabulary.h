// The vocabulary of a tokenizer.json as GGUF files hold it (keys tokenizer.ggml.*; llama.cpp's gguf-py, vocab.py).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"

namespace ponder::core {

// The format's numbers, tokenizer.ggml.token_type.
enum class GgufTokenType : std::int32_t { normal = 1, control = 3, user_defined = 4, unused = 5 };

struct GgufVocabulary {
  std::string pre;                       // how text is split, by llama.cpp's name: "deepseek-v3", "llama-bpe", ...
  std::vector<std::string> tokens;       // [n_tokens] in the byte alphabet of GPT-2, added tokens as they are
  std::vector<std::int64_t> token_types;  // [n_tokens]
  std::vector<std::string> merges;       // "left right", by rank
};

// n_tokens: vocab_size of the model; ids that tokenizer.json lacks become unused tokens "[PAD123]". Refused as
// unsupported: models that are no byte-level BPE, and pre-tokenizers that GGUF has no name for among those ponder reads.
Result<GgufVocabulary> read_gguf_vocabulary(std::string_view tokenizer_json, std::size_t n_tokens);

}  // namespace ponder::core
