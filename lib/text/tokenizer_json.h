// Reads tokenizer.json event by event: its vocabulary and merges are 10^5 entries each and go straight into Bpe, everything
// else becomes a small tree of values.
#pragma once

#include <memory>
#include <string_view>

#include "lib/base/memory.h"
#include "lib/base/status.h"
#include "lib/io/json.h"
#include "lib/text/bpe.h"
#include "lib/text/tokenizer_config.h"

namespace ponder::core {

struct TokenizerJson {
  Json root;  // without model.vocab and model.merges
  Bpe bpe;    // vocabulary and merges; no added tokens yet
  Json letters;  // added tokens that are one letter, as added_tokens: ordinary text, recognised in content too (GGUF only)
};

// Refuses, by name, models that are no byte-level BPE. memory (may be null): counts what it takes.
Result<TokenizerJson> read_tokenizer_json(std::string_view text, MemoryCharge* memory = nullptr);

// From what was read, of this format or another.
Result<std::shared_ptr<const Tokenizer>> make_tokenizer(TokenizerJson json, TokenizerConfig config);

}  // namespace ponder::core
