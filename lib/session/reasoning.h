// The thinking channel of one reply: which tokens are reasoning, what ends it, and the tokens that are forced to end or
// extend it. Told apart by token id, so only tokenizers with <think> and </think> as added tokens have one; others answer
// at once. When it is ended or extended is decided in session_reason.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/text/tokenizer.h"

namespace ponder::core {

enum class Channel : std::int32_t { answer = 0, thinking = 1 };

// Why the last block of thinking ended.
enum class ThinkEnd : std::int32_t {
  none = 0,        // there was none, or it is open
  model = 1,       // </think> was sampled, or the end token, in whose place the block was closed
  budget = 2,      // a budget or the answer's reserve, at the end of a line or sentence
  grace_cut = 3,   // the same, with the grace used up in the middle of a line
  early_exit = 4,
  loop = 5,
  user = 6,        // stop_thinking()
};

// Thinking that ends when the answer has settled. Every `probe_every` thinking tokens, at the end of a line, the block is closed
// on trial behind the cached tokens: probe_text is read, the answer in the box decoded greedily, and all of it taken back.
enum class EarlyExit : std::int32_t {
  off = 0,
  probe = 1,       // the last probe_agree answers are equal (answers_equal)
  confidence = 2,  // the geometric mean of the answer's token probabilities is at least `confidence`
};

// The controller of thinking and answer. Off: only GenerateParams::think_budget counts.
struct ReasoningParams {
  static constexpr std::int64_t kDefaultGrace = 32, kMaxDefaultReserve = 256;

  bool enabled = false;
  // Sampled thinking tokens, -1: no limit. Of the whole reply, beside think_budget, and of each block.
  std::int64_t turn_budget = -1, block_budget = -1;
  // Behind a budget: at most so many tokens more until the end of a line or sentence.
  std::int64_t grace = kDefaultGrace;
  std::string message;       // forced before </think>, on a line of its own; empty: none
  // </think> is replaced by wait_text while fewer than min_tokens were thought, and max_waits times. Budgets come first.
  std::int64_t min_tokens = 0, max_waits = 0;
  std::string wait_text = "Wait";
  // Tokens of max_new_tokens (or of the context) that are left when the answer begins; -1: a quarter, at most 256.
  std::int64_t answer_reserve = -1;
  bool detect_loops = true;  // in the thinking: the block is closed; in the answer: FinishReason::loop

  EarlyExit early_exit = EarlyExit::off;
  std::int64_t probe_every = 64, probe_agree = 3;
  std::int64_t probe_tokens = 20;  // longest answer
  std::int64_t probe_max = 0;      // probes of a reply; 0: no limit
  float confidence = 0.95f;
  // Behind a newline that it begins with or that ends the thinking; added tokens are recognised. Ends within \boxed{.
  std::string probe_text = "\n</think>\n\n**Final Answer**\n\\boxed{";

  static constexpr std::size_t kMaxTextBytes = 4096;  // of message, wait_text and probe_text
  Status validate() const;
};

class Reasoning {
 public:
  // `tokenizer` may be null, and must outlive the object.
  static Result<Reasoning> create(const Tokenizer* tokenizer);

  bool available() const { return think_end_.has_value(); }
  bool is_marker(TokenId id) const { return opens(id) || closes(id); }
  bool opens(TokenId id) const { return think_start_ == id; }
  bool closes(TokenId id) const { return think_end_ == id; }

  const std::optional<TokenId>& think_start() const { return think_start_; }
  const std::optional<TokenId>& think_end() const { return think_end_; }

  Channel channel() const { return channel_; }  // of the next token
  void set_channel(Channel channel) { channel_ = channel; }

  // The channel after `tokens`: the last marker decides, since a prompt may itself have opened the block. Another
  // added token behind it ends a block that was left open: no turn thinks for the next one.
  void start(std::span<const TokenId> tokens);

  // The channel that `id` belongs to; the next token's channel follows. </think> in an answer changes nothing.
  Channel accept(TokenId id);

  // The texts of what is forced. Nothing has changed when it fails.
  Status set_texts(const ReasoningParams& params);
  // What closes the block: "\n</think>\n\n", with the message on a line of its own before it, without the first newline
  // when the thinking has just ended a line.
  std::span<const TokenId> closing(bool at_line_start) const;
  // What stands for </think> to go on thinking: wait_text on a new line. Empty without one.
  std::span<const TokenId> wait(bool at_line_start) const;
  std::span<const TokenId> probe() const { return probe_; }  // behind the end of a line

 private:
  const Tokenizer* tokenizer_ = nullptr;
  std::optional<TokenId> think_start_, think_end_;
  Channel channel_ = Channel::answer;
  std::vector<TokenId> newline_, closing_, wait_;  // the last two begin with newline_
  std::vector<TokenId> probe_;
};

}  // namespace ponder::core
