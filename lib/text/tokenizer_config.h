// tokenizer_config.json: what a tokenizer and a chat template need from it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lib/base/memory.h"
#include "lib/base/status.h"

namespace ponder::core {

struct TokenizerConfig {
  std::string bos_text, eos_text;  // empty: none
  bool has_bos = false;            // bos_token is there, be it null
  std::optional<bool> add_bos;
  std::string chat_template;       // Jinja source, or empty; of several the one named "default", else the first
  std::string tool_template;       // of several the one named "tool_use", for chats with tools; or empty

  // An empty text is an empty object. memory (may be null): counts what it takes.
  static Result<TokenizerConfig> parse(std::string_view text, MemoryCharge* memory = nullptr);
};

}  // namespace ponder::core
