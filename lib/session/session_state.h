// What a Session holds; seen by the session's own files only.
//
// Invariant: tokens[0, kv.n_tokens()) are computed and committed; what follows is pending and computed when the next
// logits are needed. `logits` belong to the last token when logits_valid, and then nothing is pending.
#pragma once

#include <algorithm>

#include "lib/model/loader.h"
#include "lib/session/loop_detector.h"
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
  std::atomic<bool> skip{false};  // stop_thinking()
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
  std::vector<TokenId> forcing;   // what is forced; done up to n_forced_ids
  std::size_t n_forced_ids = 0;
  bool at_line_start = false;     // the thinking text so far ends with a newline
  bool at_sentence_end = false;   // ... or a sentence
  bool after_digit = false;       // ... or a digit
  bool trim_newlines = false;     // between </think> and the answer
  FinishReason finish = FinishReason::none;
  SessionStats stats;
  // Where the controller stands; part of forks and saved sessions.
  struct Thinking {
    std::int64_t block_tokens = 0;        // sampled in the block that is open, or was the last
    std::int64_t n_waits = 0;
    ThinkEnd end = ThinkEnd::none;
    ThinkEnd asked = ThinkEnd::none;      // user, loop or early_exit: the open block is to be closed
    std::int64_t asked_at = 0;            // stats.thinking_tokens then
    bool over = false;                    // no block may be opened any more
    bool answer_blank = true;
    bool answer_loops = false;
  } thinking;
  // An answer looked at on trial: its tokens are in the cache behind those of the session while it is under way, which is between
  // two slices of a step only, and never in `tokens`.
  struct Probe {
    bool active = false;
    std::vector<TokenId> ids;        // probe_text and what was decoded
    std::size_t n_computed = 0;
    std::string text;                // of what was decoded
    std::int64_t n_decoded = 0;
    double sum_logprob = 0;
  } probe;
  // What the probes have said; part of forks and saved sessions.
  struct Probed {
    std::int64_t at = 0;             // stats.thinking_tokens of the last one
    std::int64_t n_probes = 0, n_agree = 0;
    std::string answer;              // of the last one; empty: it had none
  } probed;
  LoopDetector loop_detector;             // of the tokens of the reply since the channel changed
  std::vector<TokenId> blank_ids;         // tokens without visible text; with the controller only
  std::vector<TokenId> unwanted;          // of the next pick
  std::optional<GrammarMatcher> grammar;                // of the answer; where its text stands
  std::shared_ptr<const grammar::TokenTrie> token_trie;  // of the model's vocabulary; null until the first grammar
  std::shared_ptr<const TokenMask> allowed;             // of the next pick
  std::vector<TokenId> grammar_ends;                    // that end a complete text
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
  bool budget_used() const {
    const auto used = [this](std::int64_t budget) { return budget >= 0 && stats.thinking_tokens >= budget; };
    return used(generate.think_budget) || (generate.reasoning.enabled && used(generate.reasoning.turn_budget));
  }
  Status choose(TokenId& id, bool& forced, float& logprob);
  void accept(TokenId id, bool forced, float logprob, TokenEvent& event);
  // The text that `id` completes goes to `text`; sets info.thinking, and `finish` at an end. The channel of that text.
  Channel push_text(TokenId id, TokenInfo& info);
  void finish_text();
  // session_grammar.cpp
  Status restrict_to_grammar();  // the next pick; end: the text is complete and nothing can follow
  void follow_grammar(TokenId id, const TokenInfo& info);
  Status shift();

  // session_reason.cpp
  Status prepare_reasoning(const GenerateParams& to_set);
  std::int64_t room() const;  // tokens that the reply may still have
  std::int64_t room_to_think() const;
  ThinkEnd closing_due(std::int64_t& over, std::int64_t& grace) const;
  bool must_force();          // the next token is forced; may begin to
  bool is_forcing() const { return n_forced_ids < forcing.size(); }
  void force(std::span<const TokenId> ids) {
    forcing.assign(ids.begin(), ids.end());
    n_forced_ids = 0;
  }
  bool wants_wait() const;
  bool ends_reply(TokenId id) const;
  TokenId restrict_choice();
  bool replaces(TokenId id);

  // session_probe.cpp
  bool probe_due() const;
  Status look_at_answer(Forward::Clock::time_point deadline);
  Status compute_probe(Forward::Clock::time_point deadline);
  bool decode_probe();        // one token more; false: the answer is complete
  void judge_probe();
  void drop_probe() {         // before anything looks at the cache
    if (!probe.active) return;
    probe.active = false;
    pass = nullptr;
    truncate(tokens.size());
  }
  void copy_reply(const State& from);
  void observe(TokenId id, const TokenInfo& info, Channel before, std::string_view piece);
};

}  // namespace ponder::core
