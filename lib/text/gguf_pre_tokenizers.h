// The pre-tokenizers that GGUF files name in tokenizer.ggml.pre, as the tokenizer.json of their models describes them.
#pragma once

#include <optional>
#include <string_view>

#include "lib/io/json.h"

namespace ponder::core {

struct GgufPreTokenizer {
  Json pre_tokenizer;           // of tokenizer.json
  bool nfc = false;             // its normalizer
  bool ignore_merges = false;   // of its model
  bool add_bos = false;         // where tokenizer.ggml.add_bos_token is missing (llama.cpp's default)
};

// Nothing for an unknown name.
std::optional<GgufPreTokenizer> gguf_pre_tokenizer(std::string_view name);

}  // namespace ponder::core
