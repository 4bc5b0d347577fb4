// One conversation with a model: prompt, prefill and decode, sampling, stop rules, the thinking channel.
// One thread at a time per session, except cancel(); sessions of one model may run in parallel.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/log.h"
#include "lib/base/status.h"
#include "lib/grammar/grammar.h"
#include "lib/model/adapter.h"
#include "lib/model/forward.h"
#include "lib/model/model.h"
#include "lib/ops/context.h"
#include "lib/ops/device_choice.h"
#include "lib/session/prompt_cache.h"
#include "lib/session/reasoning.h"
#include "lib/session/sampler.h"
#include "lib/text/chat_template.h"

namespace ponder::core {

enum class FinishReason : std::int32_t { none = 0, stop = 1, length = 2, loop = 3, cancelled = 4, error = 5 };

struct SessionParams {
  std::size_t context_length = 0;   // 0: min(model maximum, 4096)
  std::size_t prefill_chunk = 0;    // tokens per forward pass; 0: 256
  Compute compute = Compute::exact;
  DType kv_type = DType::f32;       // f32, f16, bf16, q8_0; f8_e4m3 (latent caches): see KvFormat
  int n_threads = 0;                // 0: all of the runtime's pool
  bool defer_prefill = false;       // prompts only set the tokens; next() and step() compute them
  PromptCacheParams prompt_cache = {};
};

struct GenerateParams {
  SamplingParams sampling;
  std::int64_t max_new_tokens = 0;         // 0: until the context is full
  std::vector<std::string> stop;           // stop strings, in the answer only; the string itself is not emitted
  std::vector<TokenId> stop_ids;           // beside the model's end tokens
  bool ignore_eos = false;
  // -1: none. At most this many sampled thinking tokens in a reply (and up to 3 that finish a character), then
  // "\n</think>\n\n" is forced. With the controller on its grace comes on top.
  std::int64_t think_budget = -1;
  ReasoningParams reasoning;
  // When the context is full: keep the first context_keep tokens (0: the prompt, at most half of the context), drop the
  // older half of the rest and compute the remainder anew, as if it had been the prompt. Off: context_full.
  bool context_shift = false;
  std::size_t context_keep = 0;
  std::size_t n_top_logprobs = 0;          // alternatives that every event carries; at most kMaxTopLogprobs

  static constexpr std::size_t kMaxTopLogprobs = 64;
};

// One token of the reply, the end token included. <think> and </think> belong to the thinking channel and have no text;
// newlines between </think> and the answer are left out of the text.
struct TokenEvent {
  TokenId id = -1;
  Channel channel = Channel::answer;
  bool forced = false;      // not sampled: the end of thinking, a wait
  std::string_view text;    // whole characters; valid until the next call on the session
  float logprob = 0;        // of this token, before temperature and penalties; 0 for a forced one
  std::span<const TokenLogprob> top_logprobs = {};  // best first, empty for a forced one; valid as long as text
};

struct SessionStats {
  std::int64_t prompt_tokens = 0;          // of the last prompt
  std::int64_t reused_tokens = 0;          // of these, found in the cache
  std::int64_t thinking_tokens = 0;        // of the reply: sampled in the thinking channel
  std::int64_t answer_tokens = 0;          // sampled in the answer, the end token included
  std::int64_t forced_tokens = 0;          // not sampled; the three add up to the reply
  std::int64_t probe_tokens = 0;           // of the reply: computed to look at the answer; in none of the others
  std::int64_t n_waits = 0;                // of the reply: </think> replaced by wait_text
  ThinkEnd think_end = ThinkEnd::none;
  double prefill_ms = 0, decode_ms = 0;
  std::int64_t kv_bytes = 0, scratch_bytes = 0;
};

// Runtime: what sessions share.
struct Runtime {
  kernels::Table kernels;
  std::shared_ptr<ThreadPool> pool;
  std::shared_ptr<const ops::Onednn> onednn;  // may be null
  std::shared_ptr<Memory> memory;             // may be null
  std::shared_ptr<ops::DeviceChoice> device;  // null: the CPU computes
  Log log;
};

// Bytes that a session will reserve, beside the model's weights.
struct SessionPlan {
  SessionParams params;  // resolved: nothing is 0 but n_threads
  std::int64_t kv_bytes = 0, scratch_bytes = 0;
  std::int64_t other_bytes = 0;     // token ids, logits, what sampling needs
  std::int64_t kv_token_bytes = 0;  // of one token in all layers
};

// What evaluate() hands out: "logits" [n, vocab_size], "hidden.N", "moe.N.ids", ...; false stops.
class TensorSink {
 public:
  virtual ~TensorSink() = default;
  virtual bool on_f32(const std::string& name, std::span<const float> data, std::span<const std::int64_t> shape) = 0;
  virtual bool on_i32(const std::string& name, std::span<const std::int32_t> data,
                      std::span<const std::int64_t> shape) = 0;
};

enum class Pooling { mean, last };

struct EmbedOptions {
  Pooling pooling = Pooling::mean;
  bool normalize = false;  // to length 1; a zero vector stays
};

class Session {
 public:
  struct State;  // session_state.h, for the session's own files

  static Result<SessionPlan> plan(const Config& config, const SessionParams& params);
  static Result<std::unique_ptr<Session>> create(std::shared_ptr<const Runtime> runtime,
                                                 std::shared_ptr<const Model> model, const SessionParams& params);
  ~Session();

  const Model& model() const;
  std::size_t context_length() const;
  // Where it computes: "cpu" or a device's name. May become "cpu" when the device fails or adapters are set.
  std::string device() const;
  std::span<const TokenId> tokens() const;  // everything in the sequence, prompt and reply
  SessionStats stats() const;

  Status set_generate_params(const GenerateParams& params);  // for the following next() calls; resets nothing else
  const GenerateParams& generate_params() const;

  // The answers of this and the following replies stay within the grammar, from where a reply's thinking ends, or from its beginning
  // when the prompt opens none. Forks have it; saved sessions do not. A reply whose text is complete ends with an end token, or,
  // when there is none, by itself. Masks are made in memory of their own.
  Status set_grammar(GrammarKind kind, std::string_view text);
  void set_grammar(std::optional<GrammarMatcher> matcher);  // nullopt: none

  // All adapters of the session at once, in place of those before; empty: none, which is the base bit for bit. What was
  // computed with others no longer counts: the tokens stay, and are computed anew by the next call that wants logits.
  // Nothing happens when they are the same.
  Status set_adapters(std::span<const AdapterUse> uses);

  // Sets the prompt and runs its prefill; the longest common prefix with the cached tokens is reused. Progress gets
  // (tokens done, tokens in all); false cancels. After an error the session holds what it held before, or, when
  // cancelled half-way, a prefix of the prompt.
  using Progress = std::function<bool(std::size_t, std::size_t)>;
  Status prompt_ids(std::span<const TokenId> ids, const Progress& progress = {});
  // Plain text, no template; `parse_special` as in Tokenizer. BOS is put in front when the tokenizer says so.
  Result<std::vector<TokenId>> text_ids(std::string_view text, bool parse_special) const;
  Status prompt_text(std::string_view text, bool parse_special, const Progress& progress = {});
  // Renders messages (content can never inject special tokens unless trust_content) and prompts. Thinking starts open
  // when the rendered prompt ends inside <think>.
  struct ChatOptions {
    bool add_generation_prompt = true;
    bool trust_content = false;
    Json kwargs;
  };
  Status prompt_chat(const Json& messages, const Json& tools, const ChatOptions& options, const Progress& progress = {});
  // The ids prompt_chat would use.
  Result<std::vector<TokenId>> render_chat_ids(const Json& messages, const Json& tools, const ChatOptions& options) const;

  // Appends ids to the sequence without touching what is there.
  Status append_ids(std::span<const TokenId> ids, const Progress& progress = {});

  // One decode step. OK with an event, Code::end when the reply is complete (finish_reason() says why; so too when called
  // again), context_full when no token fits any more (finish_reason() is length; the session is unchanged), cancelled
  // until the next prompt or rewind, numeric when the model gave no number to pick by.
  Status next(TokenEvent& event);
  // Time-sliced: as next(), or Code::pending when the budget ran out first.
  Status step(std::int64_t budget_us, TokenEvent& event);
  FinishReason finish_reason() const;
  Channel channel() const;  // of the next token

  // One decode step of several sessions of one model in one forward pass. statuses[i] as next() would return.
  static Status next_batch(std::span<Session* const> sessions, std::span<TokenEvent> events, std::span<Status> statuses);

  // From any thread: the running call returns Code::cancelled within one layer's time. Cleared by the next call that
  // prompts, appends, rewinds or restores.
  void cancel();
  bool is_cancelled() const;
  // From any thread: the thinking of this reply, open now or later, is closed at the next end of a line or sentence, after
  // the grace at the latest, and the answer begins. Cleared as cancel() is.
  void stop_thinking();

  Result<std::unique_ptr<Session>> fork() const;    // shares the prefix; own sampler state (copied)
  // Takes over the reply of a fork of this session, or a fork of it: everything but the settings. The prompt is the same.
  Status adopt(const Session& fork);
  // Keeps the first n tokens; decode goes on from there, also after cancel(). The sampler's random state stays as it is:
  // a sampled reply then goes on in another way.
  Status rewind(std::size_t n_tokens);
  // The whole state but the user's sampler: versioned, checksummed, bound to the model's fingerprint. A session that was
  // refused is as it was before.
  // memory (may be null): counts the result.
  Result<std::string> save(MemoryCharge* memory = nullptr) const;
  Status restore(std::string_view bytes);
  Status save_file(const std::filesystem::path& path) const;  // an old file is replaced at once or not at all
  Status restore_file(const std::filesystem::path& path);

  // Logits of the last position [vocab_size]; state before the first prompt.
  Result<std::span<const float>> logits();
  // log p(ids[i] | ids[< i]) of the current sequence from position 1 on, by a fresh pass over it.
  Result<std::vector<float>> prompt_logprobs();

  // One vector per input, [inputs.size(), hidden_size]: the final norm's output of its tokens, pooled. Each in a cache of its
  // own, at most context_length tokens; the session's content stays as it is.
  Result<std::vector<float>> embed(std::span<const std::span<const TokenId>> inputs, const EmbedOptions& options);

  // A pass over `ids` in a cache of its own; the session's content stays as it is. `mtp_next_ids` (empty, or one per id):
  // also "mtp.logits". last_only: logits of the last position alone, [vocab_size].
  struct EvaluateOptions {
    bool last_only = false;
    bool hidden = false;
    bool moe = false;
  };
  Status evaluate(std::span<const TokenId> ids, std::span<const TokenId> mtp_next_ids, const EvaluateOptions& options,
                  TensorSink& sink);

 private:
  Session();
  // shared: the cache of the session that it is a fork of, or null.
  static Result<std::unique_ptr<Session>> create(std::shared_ptr<const Runtime> runtime, std::shared_ptr<const Model> model,
                                                 const SessionParams& params, const KvCache* shared);
  // of a budget in microseconds; < 0: none
  static Forward::Clock::time_point deadline_after(std::int64_t budget_us);
  std::unique_ptr<State> state_;
  friend class Scheduler;
};

}  // namespace ponder::core
