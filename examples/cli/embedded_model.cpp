#include "examples/cli/common.h"

#ifdef PONDER_EMBED_TINY

#if defined(_WIN32)  // PE has no .previous
#define EMBED_SECTION ".section .rdata,\"dr\"\n"
#define EMBED_BACK ".text\n"
#else
#define EMBED_SECTION ".section .rodata\n"
#define EMBED_BACK ".previous\n"
#endif
#define EMBED(symbol, file)                                                            \
  __asm__(EMBED_SECTION ".balign 64\n.global " #symbol "\n" #symbol ":\n.incbin \"" PONDER_EMBED_TINY "/" file \
          "\"\n.global " #symbol "_end\n" #symbol "_end:\n.byte 0\n" EMBED_BACK);       \
  extern "C" const char symbol[];                                                      \
  extern "C" const char symbol##_end[]

EMBED(ponder_tiny_config, "config.json");
EMBED(ponder_tiny_generation_config, "generation_config.json");
EMBED(ponder_tiny_weights, "model.safetensors");
EMBED(ponder_tiny_tokenizer, "tokenizer.json");
EMBED(ponder_tiny_tokenizer_config, "tokenizer_config.json");

namespace cli {

std::vector<ponder_memory_file> embedded_model() {
  auto file = [](const char* name, const char* begin, const char* end) {
    return ponder_memory_file{name, begin, static_cast<std::size_t>(end - begin)};
  };
  return {file("config.json", ponder_tiny_config, ponder_tiny_config_end),
          file("generation_config.json", ponder_tiny_generation_config, ponder_tiny_generation_config_end),
          file("model.safetensors", ponder_tiny_weights, ponder_tiny_weights_end),
          file("tokenizer.json", ponder_tiny_tokenizer, ponder_tiny_tokenizer_end),
          file("tokenizer_config.json", ponder_tiny_tokenizer_config, ponder_tiny_tokenizer_config_end)};
}

}  // namespace cli

#else

namespace cli {
std::vector<ponder_memory_file> embedded_model() { return {}; }
}  // namespace cli

#endif
