// Reads tokenizer.json event by event: its vocabulary and merges are 10^5 entries each and go straight into Bpe, everything
// else becomes a small tree of values.
#pragma once

#include <string_view>

#include "lib/base/status.h"
#include "lib/io/json.h"
#include "lib/text/bpe.h"

namespace ponder::core {

struct TokenizerJson {
  Json root;  // without model.vocab and model.merges
  Bpe bpe;    // vocabulary and merges; no added tokens yet
};

// Refuses, by name, models that are no byte-level BPE.
Result<TokenizerJson> read_tokenizer_json(std::string_view text);

}  // namespace ponder::core
