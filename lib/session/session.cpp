#include "lib/session/session.h"

#include <algorithm>

#include "lib/base/format.h"
#include "lib/session/session_state.h"

namespace ponder::core {

namespace {

// Room for the text of one event beside what a stop string has held back: a token and a replaced character.
constexpr std::size_t kTextBytes = 1024;

Status resolve(const Config& config, SessionParams& params) {
  const auto maximum = static_cast<std::size_t>(config.max_position_embeddings);
  if (params.context_length == 0) params.context_length = std::min<std::size_t>(maximum, 4096);
  if (params.context_length > maximum)
    return fail(Code::invalid_argument, "context_length: {}, config max_position_embeddings is {}", params.context_length,
                maximum);
  if (params.prefill_chunk > 65536)
    return fail(Code::invalid_argument, "prefill_chunk: {}, want at most 65536", params.prefill_chunk);
  if (params.prefill_chunk == 0) params.prefill_chunk = 256;
  params.prefill_chunk = std::min(params.prefill_chunk, params.context_length);
  if (params.n_threads < 0) return fail(Code::invalid_argument, "n_threads: {}, want 0 or more", params.n_threads);
  return {};
}

}  // namespace

ForwardOptions forward_options(const SessionParams& params) {
  ForwardOptions options;
  options.max_rows = std::max(params.prefill_chunk, kMaxLogitsRows);
  options.max_logits_rows = kMaxLogitsRows;
  options.int8_rows = params.compute == Compute::fast;
  return options;
}

namespace {

// What a session takes from operator new, as create() makes it, with every sampler turned on.
std::size_t other_bytes(const Config& config, const SessionParams& params) {
  const std::size_t of_token = sizeof(TokenId) + sizeof(Session::State::TokenInfo);
  const std::size_t of_id = sizeof(float) + Sampler::kBytesPerId;
  const std::size_t of_row = 2 * sizeof(SequenceRows) + 2 * sizeof(std::size_t) + sizeof(TokenId);
  return params.context_length * of_token + static_cast<std::size_t>(config.vocab_size) * of_id +
         forward_options(params).max_rows * of_row;
}

}  // namespace

Result<SessionPlan> Session::plan(const Config& config, const SessionParams& params) {
  SessionPlan plan{params};
  PONDER_TRY(resolve(config, plan.params));
  PONDER_ASSIGN(const KvLayout layout, KvLayout::create(config, plan.params.kv_type));
  constexpr std::size_t kBlock = KvCache::kBlockTokens;
  const std::size_t n_blocks = (plan.params.context_length + kBlock - 1) / kBlock;
  plan.kv_token_bytes = static_cast<std::int64_t>(layout.token_bytes());
  plan.kv_bytes = static_cast<std::int64_t>(n_blocks * kBlock * layout.token_bytes());
  plan.scratch_bytes = static_cast<std::int64_t>(Forward::scratch_bytes(config, forward_options(plan.params)));
  plan.other_bytes = static_cast<std::int64_t>(other_bytes(config, plan.params));
  return plan;
}

Session::Session() : state_(std::make_unique<State>()) {}
Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::create(std::shared_ptr<const Runtime> runtime,
                                                 std::shared_ptr<const Model> model, const SessionParams& params) {
  return create(std::move(runtime), std::move(model), params, nullptr);
}

Result<std::unique_ptr<Session>> Session::create(std::shared_ptr<const Runtime> runtime, std::shared_ptr<const Model> model,
                                                 const SessionParams& params, const KvCache* shared) {
  if (!runtime || !model) return Status(Code::invalid_argument, "runtime and model must not be null");
  std::unique_ptr<Session> session(new Session);
  State& st = *session->state_;
  st.params = params;
  PONDER_TRY(resolve(model->config(), st.params));
  st.runtime = std::move(runtime);
  st.model = std::move(model);
  st.ctx = {&st.runtime->kernels, st.runtime->pool.get(), params.n_threads, params.compute, &st.cancel,
            st.runtime->onednn.get()};
  st.ctx.memory = st.runtime->memory;
  const Config& config = st.model->config();
  st.charge = MemoryCharge(st.ctx.memory, MemoryUse::other);
  PONDER_TRY(st.charge.raise_to(other_bytes(config, st.params)).with_prefix("session"));
  PONDER_TRY(shared ? st.compute_on(shared->layout().device, shared) : st.choose_device());
  const Tokenizer* tokenizer = st.model->tokenizer().get();
  const auto vocab_size = static_cast<std::size_t>(config.vocab_size);
  const std::size_t n_ids = tokenizer ? std::min(vocab_size, tokenizer->n_ids()) : vocab_size;
  PONDER_ASSIGN(st.sampler, Sampler::create({}, vocab_size, n_ids, tokenizer));
  PONDER_ASSIGN(st.reasoning, Reasoning::create(tokenizer));
  if (tokenizer) st.detokenizer.emplace(st.model->tokenizer());
  const GenerationConfig& generation = st.model->generation_config();
  st.end_ids = generation.eos_token_ids.empty() ? config.eos_token_ids : generation.eos_token_ids;
  if (tokenizer && tokenizer->eos()) st.end_ids.push_back(*tokenizer->eos());
  if (!st.params.prompt_cache.folder.empty()) st.prompt_cache.emplace(st.params.prompt_cache, &st.runtime->log);
  st.tokens.reserve(st.params.context_length);
  st.infos.reserve(st.params.context_length);
  st.logits.resize(vocab_size);
  st.shared_pass.reserve(kMaxLogitsRows, std::max(st.params.prefill_chunk, kMaxLogitsRows));
  PONDER_TRY(session->set_generate_params({}));
  return session;
}

const Model& Session::model() const { return *state_->model; }
std::size_t Session::context_length() const { return state_->params.context_length; }
std::span<const TokenId> Session::tokens() const { return state_->tokens; }
FinishReason Session::finish_reason() const { return state_->finish; }
std::string Session::device() const { return state_->ctx.device ? state_->ctx.device->name() : "cpu"; }
Channel Session::channel() const { return state_->reasoning.channel(); }
void Session::stop_thinking() { state_->skip.store(true, std::memory_order_relaxed); }
bool Session::is_cancelled() const { return state_->ctx.cancelled(); }
void Session::cancel() { state_->cancel.store(true, std::memory_order_relaxed); }
const GenerateParams& Session::generate_params() const { return state_->generate; }

SessionStats Session::stats() const {
  SessionStats stats = state_->stats;
  stats.n_waits = state_->thinking.n_waits;
  stats.think_end = state_->thinking.end;
  stats.kv_bytes = static_cast<std::int64_t>(state_->kv.reserved_bytes());
  stats.scratch_bytes = static_cast<std::int64_t>(
      Forward::scratch_bytes(state_->model->config(), forward_options(state_->params)));
  return stats;
}

Status Session::set_generate_params(const GenerateParams& params) {
  State& st = *state_;
  const auto vocab_size = static_cast<std::size_t>(st.model->config().vocab_size);
  PONDER_TRY(params.sampling.validate(vocab_size));
  PONDER_TRY(StopMatcher::validate(params.stop));
  if (!params.stop.empty() && !st.detokenizer)
    return fail(Code::no_tokenizer, "stop strings need a tokenizer: {}", st.model->tokenizer_status().message());
  if (params.max_new_tokens < 0)
    return fail(Code::invalid_argument, "max_new_tokens: {}, want 0 (no limit) or more", params.max_new_tokens);
  if (params.think_budget < -1)
    return fail(Code::invalid_argument, "think_budget: {}, want -1 (none) or more", params.think_budget);
  if (params.context_shift && params.context_keep >= st.params.context_length - 1)
    return fail(Code::invalid_argument, "context_keep: {} tokens, want less than context_length {} - 1",
                params.context_keep, st.params.context_length);
  if (params.n_top_logprobs > GenerateParams::kMaxTopLogprobs)
    return fail(Code::invalid_argument, "n_top_logprobs: {}, want at most {}", params.n_top_logprobs,
                GenerateParams::kMaxTopLogprobs);
  for (TokenId id : params.stop_ids)
    if (id < 0 || static_cast<std::size_t>(id) >= vocab_size)
      return fail(Code::invalid_argument, "stop_ids: {} is outside the vocabulary of {} ids", id, vocab_size);
  // What can run out of memory comes before the first change.
  GenerateParams copy = params;
  StopMatcher stop;
  stop.set_stops(params.stop, st.stop.held());
  st.text.reserve(stop.capacity() + kTextBytes);
  if (params.n_top_logprobs > 0) st.top_logprobs.reserve(params.n_top_logprobs + 1);
  PONDER_TRY(params.reasoning.validate());
  PONDER_TRY(st.prepare_reasoning(params));
  PONDER_TRY(st.sampler.set_params(params.sampling));
  st.stop = std::move(stop);
  st.generate = std::move(copy);
  // There may be room again, or something to pick.
  if (st.finish == FinishReason::length || st.finish == FinishReason::error) st.finish = FinishReason::none;
  return {};
}

Status Session::set_adapters(std::span<const AdapterUse> uses) {
  State& st = *state_;
  PONDER_ASSIGN(std::shared_ptr<const AdapterSet> set, AdapterSet::create(*st.model, uses));
  if (set ? st.adapters && *set == *st.adapters : !st.adapters) return {};
  st.drop_probe();
  PONDER_TRY(st.attach(std::move(set)));
  st.truncate(0);
  st.drop_logits();
  return {};
}

Result<std::span<const float>> Session::logits() {
  State& st = *state_;
  if (st.tokens.empty()) return Status(Code::state, "the session has no prompt yet");
  PONDER_TRY(st.compute(Forward::Clock::time_point::max()));
  return std::span<const float>(st.logits);
}

Result<std::vector<float>> Session::prompt_logprobs() {
  State& st = *state_;
  if (st.tokens.empty()) return Status(Code::state, "the session has no prompt yet");
  const std::size_t n = st.tokens.size();
  MemoryCharge charge(st.ctx.memory, MemoryUse::other);
  PONDER_TRY(charge.raise_to(n * sizeof(float)));
  std::vector<float> out(n, 0.0f);
  ForwardOptions options;
  options.max_rows = options.max_logits_rows = std::min<std::size_t>(n, 64);
  options.int8_rows = st.params.compute == Compute::fast;
  PONDER_ASSIGN(Forward forward, Forward::create(*st.model, st.ctx, options));
  PONDER_ASSIGN(KvCache kv, KvCache::create(st.kv.layout(), n, st.ctx.memory));
  std::vector<std::size_t> rows(options.max_rows);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = i;
  for (std::size_t first = 0; first + 1 < n; first += options.max_rows) {
    const std::size_t count = std::min(options.max_rows, n - 1 - first);
    const SequenceRows sequence{&kv, 0, count};
    PONDER_TRY(forward.run({std::span(st.tokens).subspan(first, count), {&sequence, 1}, std::span(rows).first(count)}));
    for (std::size_t i = 0; i < count; ++i)
      out[first + i + 1] = Sampler::logprob({forward.logits().row(i), st.logits.size()}, st.tokens[first + i + 1]);
  }
  return out;
}

// What a session holds beside its cache and settings.
void Session::State::copy_reply(const State& from) {
  sampler.set_state(from.sampler.state());
  tokens.assign(from.tokens.begin(), from.tokens.end());
  infos.assign(from.infos.begin(), from.infos.end());
  std::copy(from.logits.begin(), from.logits.end(),  logits.begin());
  logits_valid = from.logits_valid;
  n_prompt = from.n_prompt;
  n_generated = from.n_generated;
  if (detokenizer) *detokenizer = *from.detokenizer;
  reasoning.set_channel(from.reasoning.channel());
  forcing = from.forcing;
  n_forced_ids = from.n_forced_ids;
  thinking = from.thinking;
  probed = from.probed;
  loop_detector = from.loop_detector;
  skip.store(from.skip.load(std::memory_order_relaxed), std::memory_order_relaxed);
  at_line_start = from.at_line_start;
  at_sentence_end = from.at_sentence_end;
  after_digit = from.after_digit;
  trim_newlines = from.trim_newlines;
  finish = from.finish;
  stats = from.stats;
  stop.set_held(from.stop.held());
  grammar = from.grammar;
  token_trie = from.token_trie;
}

Result<std::unique_ptr<Session>> Session::fork() const {
  State& from = *state_;
  from.drop_probe();
  from.pass = nullptr;  // its rows are not committed and the fork would share their block
  PONDER_ASSIGN(std::unique_ptr<Session> session, create(from.runtime, from.model, from.params, &from.kv));
  State& st = *session->state_;
  PONDER_TRY(st.attach(from.adapters));
  PONDER_TRY(session->set_generate_params(from.generate));
  st.copy_reply(from);
  return session;
}

Status Session::adopt(const Session& fork) {
  State& st = *state_;
  State& from = *fork.state_;
  if (st.model != from.model || st.params.context_length != from.params.context_length || !st.fits_with(from))
    return Status(Code::invalid_argument, "the session is no fork of this one");
  st.drop_probe();
  from.drop_probe();
  from.pass = st.pass = nullptr;
  PONDER_ASSIGN(st.kv, from.kv.fork(st.params.context_length));
  st.copy_reply(from);
  return {};
}

Status Session::rewind(std::size_t n_tokens) {
  State& st = *state_;
  if (n_tokens > st.tokens.size())
    return fail(Code::invalid_argument, "rewind to {} tokens, the session has {}", n_tokens, st.tokens.size());
  st.drop_probe();
  st.cancel.store(false, std::memory_order_relaxed);
  st.skip.store(false, std::memory_order_relaxed);
  if (n_tokens == st.tokens.size()) {
    if (st.finish == FinishReason::cancelled || st.finish == FinishReason::error) st.finish = FinishReason::none;
    return {};
  }
  st.cut(n_tokens);
  st.n_prompt = std::min(st.n_prompt, n_tokens);
  st.finish = FinishReason::none;
  st.replay();
  return {};
}

}  // namespace ponder::core
