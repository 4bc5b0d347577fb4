// What a Session holds; seen by the session's own files only.
//
// Invariant: tokens[0, kv.n_tokens()) are computed and committed; what follows is pending and computed when the next
// logits are needed. `logits` belong to the last token when logits_valid, and then nothing is pending.
#pragma once

#include <algorithm>

#include "lib/model/loader.h"
#include "lib/session/session.h"
#include "lib/session/shared_pass.h"
#include "lib/session/stop.h"

namespace ponder::core {

// Rows whose logits one pass of a session can give: sessions of one batched step.
inline constexpr std::size_t kMaxLogitsRows = 16;
// Tokens that a decode step computes: the last one and those of a forced end of thinking before it.
inline constexpr std::size_t kMaxPending = 4;
static_assert(kMaxPending <= kMaxLogitsRows);  // rows that every session's pass has room for

ForwardOptions forward_options(const SessionParams& params);  // of a session's own pass

struct Session::State {
  std::shared_ptr<const Runtime> runtime;
  std::shared_ptr<const Model> model;
  std::shared_ptr<const AdapterSet> adapters;  // may be null
  SessionParams params;  // resolved: nothing is 0
  MemoryCharge charge;   // of plan().other_bytes
  std::atomic<bool> cancel{false};
  Context ctx;
  KvCache kv;
  std::optional<PromptCache> prompt_cache;
  std::optional<Forward> forward;
  SharedPass shared_pass;  // of a batched step that this session leads
  Sampler sampler;
  GenerateParams generate;
  Reasoning reasoning;
  StopMatcher stop;
  std::optional<Detokenizer> detokenizer;
  std::vector<TokenId> end_ids;

  struct TokenInfo {
    bool generated = false;  // part of the reply
    bool forced = false;
    bool thinking = false;   // of a generated one: counted as thinking
  };
  std::vector<TokenId> tokens;    // reserved: context_length
  std::vector<TokenInfo> infos;   // one per token
  std::vector<float> logits;      // [vocab_size]
  bool logits_valid = false;
  // Whose pass over this session's rows ran out of time half-way: the session's own or a batch's. Null: nobody's; so does
  // whatever changes the session, and the pass is given up.
  const Forward* pass = nullptr;
  std::size_t pass_rows = 0;      // of a pass of its own
  std::size_t n_prompt = 0;
  std::int64_t n_generated = 0;   // of this reply, whatever a context shift dropped
  std::span<const TokenId> forcing;  // what is still to be forced, a part of reasoning.closing()
  bool at_line_start = false;     // the thinking text so far ends with a newline
  bool trim_newlines = false;     // between </think> and the answer
  FinishReason finish = FinishReason::none;
  SessionStats stats;
  std::string text;               // of the last event
  std::vector<TokenLogprob> top_logprobs;  // of the last event

  std::size_t n_pending() const { return tokens.size() - kv.n_tokens(); }
  // Rows to compute for the next token: none when it will be forced or its logits are there.
  std::size_t n_wanted();
  // Whether rows of both can be in one pass.
  bool fits_with(const State& other) const {
    return model == other.model && params.compute == other.params.compute && kv.layout().type == other.kv.layout().type &&
           ctx.device == other.ctx.device &&
           (adapters == other.adapters || (adapters && other.adapters && *adapters == *other.adapters));
  }
  // Of the model and its adapters: what cached rows are bound to.
  std::uint64_t fingerprint() const { return model->fingerprint() ^ (adapters ? adapters->fingerprint() : 0); }
  // Key of its rows in the prompt cache.
  std::uint64_t cache_key() const {
    Fingerprint key;
    key.add(fingerprint());
    key.add(static_cast<std::uint64_t>(params.compute));
    key.add(static_cast<std::uint64_t>(kv.layout().type));
    key.add(static_cast<std::uint64_t>(kv.layout().n_layers));
    key.add(static_cast<std::uint64_t>(kv.layout().row_elements));
    key.add(static_cast<std::uint64_t>(ctx.device != nullptr));
    return key.value();
  }
  // The logits of the last token are there; a prompt that is complete now is to go to the prompt cache.
  void computed() {
    logits_valid = true;
    if (!prompt_cache || infos.back().generated) return;
    const std::size_t reused = std::min(tokens.size(), static_cast<std::size_t>(stats.reused_tokens));  // fewer after a rewind
    prompt_cache->store(cache_key(), tokens, tokens.size() - reused, kv);
  }
  // What is to go there, as far as there is time; without a deadline all of it, else at least a part.
  void write_prompt(Forward::Clock::time_point deadline) {
    if (!prompt_cache) return;
    const bool all = deadline == Forward::Clock::time_point::max();
    while (prompt_cache->is_writing()) {
      prompt_cache->write_part(kv);
      if (!all && Forward::Clock::now() >= deadline) break;
    }
  }
  // Of the cached rows the first n stay.
  void truncate(std::size_t n) {
    kv.truncate(n);
    if (prompt_cache) prompt_cache->keep(n);
  }
  // Room for the adapters first: nothing has changed when it fails.
  Status attach(std::shared_ptr<const AdapterSet> set) {
    if (set && ctx.device) PONDER_TRY(leave_device(Status(Code::unsupported, "adapters run on the CPU only")));
    PONDER_TRY(forward->set_low_ranks(set ? &set->low_ranks() : nullptr));
    adapters = std::move(set);
    ctx.low_ranks = adapters ? &adapters->low_ranks() : nullptr;
    return {};
  }
  bool is_end(TokenId id) const;
  void drop_logits() {
    logits_valid = false;
    pass = nullptr;
  }
  // Keeps the first n tokens and at most n - 1 of them computed, so that the last one's logits will be.
  void cut(std::size_t n);
  void reset_reply();   // a new prompt: channel, counters, stop strings
  void replay();        // channel, detokenizer and held text to where the tokens of the reply left them
  std::int64_t& counter(const TokenInfo& info);

  // session_device.cpp. Makes cache and forward pass: on `device`, or the CPU's; `shared`: as a fork of that cache, which lies there.
  Status compute_on(std::shared_ptr<ops::Device> device, const KvCache* shared);
  Status choose_device();                    // the runtime's, or the CPU
  Status leave_device(const Status& why);    // for the CPU; all tokens are pending then
  bool survives(const Status& status);       // a failure of the device, after which the CPU goes on

  Status check_ids(std::span<const TokenId> ids) const;
  Status set_tokens(std::span<const TokenId> ids, std::size_t n_keep, const Progress& progress);
  // Computes what is pending, in chunks; OK when the logits are there.
  Status compute(Forward::Clock::time_point deadline, const Progress& progress = {});

  // The parts of next(): `ready` says whether there is something to sample or force (else the status to return); `emit`
  // does the rest: computes what is pending, until the deadline; `choose` picks the token; `accept` makes it part of the
  // sequence and fills the event.
  Status ready();
  Status emit(Forward::Clock::time_point deadline, TokenEvent& event);
  bool must_force();
  bool budget_used() const { return generate.think_budget >= 0 && stats.thinking_tokens >= generate.think_budget; }
  Status choose(TokenId& id, bool& forced, float& logprob);
  void accept(TokenId id, bool forced, float logprob, TokenEvent& event);
  // The text that `id` completes goes to `text`; sets info.thinking, and `finish` at an end. The channel of that text.
  Channel push_text(TokenId id, TokenInfo& info);
  void finish_text();
  Status shift();
};

}  // namespace ponder::core
