// Byte-level BPE tokenizers as tokenizer.json describes them (DeepSeek, Qwen2, Llama 3). Immutable after loading; any
// number of threads may use one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/memory.h"
#include "lib/base/status.h"

namespace ponder::core {

using TokenId = std::int32_t;

struct EncodeOptions {
  // true: added tokens in the text ("<think>", "<｜User｜>") become their ids, as the official tokenizers do.
  // false: the text is content; such strings are encoded as plain text and can never become added tokens.
  bool parse_special = false;
};

// A half-open byte range of a text.
struct TextSpan {
  std::size_t begin = 0;
  std::size_t end = 0;
};

class Tokenizer {
 public:
  struct Files {
    std::string_view tokenizer_json;
    std::string_view tokenizer_config_json;  // may be empty
  };
  // memory (may be null): counts what loading takes, somewhat more than it is.
  static Result<std::shared_ptr<const Tokenizer>> load(const Files& files, MemoryCharge* memory = nullptr);
  virtual ~Tokenizer() = default;

  // Memory that encoding takes for a byte of text: the ids, at worst one per byte, twice, in lists that grow.
  static constexpr std::size_t kEncodeBytes = 24;
  // Ids of `text`; no BOS is added. Text may be empty or hold U+0000. Invalid UTF-8 is an invalid_argument.
  virtual Result<std::vector<TokenId>> encode(std::string_view text, const EncodeOptions& options) const = 0;

  // Encodes a rendered prompt: added tokens are recognised only where they do not touch a content span.
  virtual Result<std::vector<TokenId>> encode_with_content(std::string_view text,
                                                           std::span<const TextSpan> content) const = 0;

  // UTF-8 text of ids; incomplete or invalid bytes become one U+FFFD per maximal invalid subpart. Ids without a token
  // (padding of the vocabulary) are an invalid_argument.
  virtual Result<std::string> decode(std::span<const TokenId> ids, bool skip_special) const = 0;

  // Raw bytes of one token, possibly an incomplete character; empty for an id without a token.
  virtual std::string_view token_bytes(TokenId id) const = 0;
  virtual bool has_token(TokenId id) const = 0;
  virtual bool is_added(TokenId id) const = 0;
  virtual bool is_special(TokenId id) const = 0;  // added_tokens[].special
  virtual std::optional<TokenId> find(std::string_view text) const = 0;  // an added token by content, or a vocab token by bytes

  virtual std::size_t n_ids() const = 0;  // largest id + 1
  virtual std::size_t memory_bytes() const = 0;  // of its tables, within a few percent
  virtual std::optional<TokenId> bos() const = 0;  // from tokenizer_config.json, without its key from the post_processor
  virtual std::optional<TokenId> eos() const = 0;
  virtual bool add_bos() const = 0;
  virtual const std::string& chat_template() const = 0;  // Jinja source of tokenizer_config.json, or empty
  virtual const std::string& bos_text() const = 0;
  virtual const std::string& eos_text() const = 0;
};

// UTF-8 that never cuts a character: bytes of an unfinished character wait for the next token.
class Detokenizer {
 public:
  explicit Detokenizer(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special = true)
      : tokenizer_(std::move(tokenizer)), skip_special_(skip_special) {
    pending_.reserve(16);
    out_.reserve(256);
  }
  // Text that became complete with this token; valid until the next call. Allocates only for texts beyond 256 bytes.
  std::string_view push(TokenId id);
  // What is left at the end of the reply (unfinished bytes as U+FFFD).
  std::string_view finish();
  void reset() { pending_.clear(); }
  bool inside_character() const { return !pending_.empty(); }

 private:
  std::string_view drain(bool at_end);
  std::shared_ptr<const Tokenizer> tokenizer_;
  bool skip_special_;
  std::string pending_;
  std::string out_;
};

}  // namespace ponder::core
