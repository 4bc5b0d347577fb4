// The thinking channel of one reply: which tokens are reasoning, and the budget that ends it. Told apart by token id, so
// only tokenizers with <think> and </think> as added tokens have one; others answer at once.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "lib/base/status.h"
#include "lib/text/tokenizer.h"

namespace ponder::core {

enum class Channel : std::int32_t { answer = 0, thinking = 1 };

class Reasoning {
 public:
  // `tokenizer` may be null, and must outlive the object.
  static Result<Reasoning> create(const Tokenizer* tokenizer);

  bool available() const { return think_end_.has_value(); }
  bool is_marker(TokenId id) const { return opens(id) || closes(id); }
  bool opens(TokenId id) const { return think_start_ == id; }
  bool closes(TokenId id) const { return think_end_ == id; }

  std::optional<TokenId> think_start() const { return think_start_; }

  Channel channel() const { return channel_; }  // of the next token
  void set_channel(Channel channel) { channel_ = channel; }

  // The channel after `tokens`: the last marker decides, since a prompt may itself have opened the block. Another
  // added token behind it ends a block that was left open: no turn thinks for the next one.
  void start(std::span<const TokenId> tokens);

  // The channel that `id` belongs to; the next token's channel follows. </think> in an answer changes nothing.
  Channel accept(TokenId id);

  // What closes the block: "\n</think>\n\n", without the first newline when the thinking has just ended a line.
  std::span<const TokenId> closing(bool at_line_start) const;

 private:
  const Tokenizer* tokenizer_ = nullptr;
  std::optional<TokenId> think_start_, think_end_;
  Channel channel_ = Channel::answer;
  std::vector<TokenId> closing_;
  std::size_t n_newline_ids_ = 0;
};

}  // namespace ponder::core
