// Tokenizer and chat template out of the metadata of a GGUF file (llama.cpp's keys tokenizer.ggml.* and
// tokenizer.chat_template).
#pragma once

#include <memory>

#include "lib/base/status.h"
#include "lib/io/gguf.h"
#include "lib/text/tokenizer.h"
#include "lib/text/tokenizer_config.h"

namespace ponder::core {

// no_tokenizer: the file has none. Byte-level BPE only; the pre-tokenizer is known by its name alone, so an unknown name is
// refused. memory (may be null): counts what it takes.
Result<std::shared_ptr<const Tokenizer>> load_gguf_tokenizer(const Gguf& file, MemoryCharge* memory = nullptr);

// What tokenizer_config.json would say: BOS and EOS, whether BOS is added, the chat templates.
Result<TokenizerConfig> read_gguf_tokenizer_config(const Gguf& file);

}  // namespace ponder::core
