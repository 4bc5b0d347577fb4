// Prompts: from text or messages to ids, and from ids to a computed prefix.
#include <algorithm>
#include <utility>

#include "lib/base/format.h"
#include "lib/session/session_state.h"

namespace ponder::core {
namespace {

// What encoding a text takes, where that is much.
Status count_text(std::string_view text, MemoryCharge& memory) {
  constexpr std::size_t kSmallText = std::size_t{64} << 10;
  return text.size() > kSmallText ? memory.raise_to(Tokenizer::kEncodeBytes * text.size()).with_prefix("prompt") : Status();
}

}  // namespace

std::int64_t& Session::State::counter(const TokenInfo& info) {
  return info.forced ? stats.forced_tokens : info.thinking ? stats.thinking_tokens : stats.answer_tokens;
}

void Session::State::cut(std::size_t n) {
  for (std::size_t i = n; i < infos.size(); ++i) {
    if (!infos[i].generated) continue;
    --n_generated;
    --counter(infos[i]);
  }
  tokens.resize(n);
  infos.resize(n);
  truncate(n);
  force({});
  drop_logits();
}

void Session::State::reset_reply() {
  std::fill(infos.begin(), infos.end(), TokenInfo{});
  n_prompt = tokens.size();
  n_generated = 0;
  stats.prompt_tokens = static_cast<std::int64_t>(tokens.size());
  stats.thinking_tokens = stats.answer_tokens = stats.forced_tokens = 0;
  stats.prefill_ms = stats.decode_ms = 0;
  thinking = {};
  probed = {};
  stats.probe_tokens = 0;
  force({});
  finish = FinishReason::none;
  replay();
}

void Session::State::replay() {
  const FinishReason kept = finish;
  reasoning.start(std::span(tokens).first(n_prompt));
  stop.reset();
  if (detokenizer) detokenizer->reset();
  at_line_start = at_sentence_end = after_digit = trim_newlines = false;
  // What the tokens do not say stays: blocks that were closed for good, as long as that is part of the reply.
  const Thinking before = std::exchange(thinking, {});
  loop_detector.reset();
  if (grammar) grammar->reset();
  bool waiting = false;  // in forced tokens that do not close the block
  for (std::size_t i = n_prompt; i < tokens.size(); ++i) {
    if (!infos[i].generated) {  // a prompt that a context shift has shortened
      (void)reasoning.accept(tokens[i]);
      continue;
    }
    TokenInfo info = infos[i];
    if (info.forced && info.thinking && !waiting) ++thinking.n_waits;
    waiting = info.forced && info.thinking;
    if (waiting && reasoning.closes(tokens[i])) {
      --thinking.n_waits;
      thinking.end = before.end;
      thinking.over = before.over;
    }
    if (!reasoning.is_marker(tokens[i])) reasoning.set_channel(info.thinking ? Channel::thinking : Channel::answer);
    text.clear();
    (void)push_text(tokens[i], info);
    follow_grammar(tokens[i], info);
  }
  text.clear();
  finish = kept;
  thinking.asked = ThinkEnd::none;  // looked at again
  if (probed.at > stats.thinking_tokens) probed = {};
}

Status Session::State::check_ids(std::span<const TokenId> ids) const {
  const std::int64_t vocab_size = model->config().vocab_size;
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (ids[i] < 0 || ids[i] >= vocab_size)
      return fail(Code::invalid_argument, "token id {} at position {} is outside the vocabulary of {} ids", ids[i], i,
                  vocab_size);
  return {};
}

// Replaces what follows the first n_keep tokens by `ids` and computes it.
Status Session::State::set_tokens(std::span<const TokenId> ids, std::size_t n_keep, const Progress& progress) {
  cancel.store(false, std::memory_order_relaxed);
  skip.store(false, std::memory_order_relaxed);
  cut(n_keep);
  tokens.insert(tokens.end(), ids.begin(), ids.end());
  infos.resize(tokens.size());
  if (prompt_cache) prompt_cache->restore(cache_key(), tokens, kv);
  reset_reply();
  stats.reused_tokens = static_cast<std::int64_t>(kv.n_tokens());
  if (params.defer_prefill) return {};
  Status status = compute(Forward::Clock::time_point::max(), progress);
  if (!status.ok()) {
    cut(kv.n_tokens());
    reset_reply();
    finish = status.code() == Code::cancelled ? FinishReason::cancelled : FinishReason::error;
  }
  return status;
}

Status Session::prompt_ids(std::span<const TokenId> ids, const Progress& progress) {
  State& st = *state_;
  st.drop_probe();
  if (ids.empty()) return Status(Code::invalid_argument, "a prompt needs at least one token");
  PONDER_TRY(st.check_ids(ids));
  if (ids.size() > st.params.context_length)
    return fail(Code::context_full, "the prompt has {} tokens, context_length is {}", ids.size(), st.params.context_length);
  std::size_t common = 0;
  while (common < ids.size() && common < st.kv.n_tokens() && ids[common] == st.tokens[common]) ++common;
  st.sampler.reseed(st.generate.sampling.seed);
  if (common == ids.size() && common == st.tokens.size() && st.logits_valid) {  // the same prompt once more
    st.cancel.store(false, std::memory_order_relaxed);
    st.skip.store(false, std::memory_order_relaxed);
    st.reset_reply();
    st.stats.reused_tokens = static_cast<std::int64_t>(common);
    return {};
  }
  common = std::min(common, ids.size() - 1);  // the last token's logits are wanted
  return st.set_tokens(ids.subspan(common), common, progress);
}

Status Session::append_ids(std::span<const TokenId> ids, const Progress& progress) {
  State& st = *state_;
  st.drop_probe();
  PONDER_TRY(st.check_ids(ids));
  if (ids.empty()) return st.tokens.empty() ? Status(Code::invalid_argument, "a prompt needs at least one token") : Status();
  if (ids.size() > st.params.context_length - st.tokens.size())
    return fail(Code::context_full, "{} tokens are in the context and {} more were given, context_length is {}",
                st.tokens.size(), ids.size(), st.params.context_length);
  return st.set_tokens(ids, st.tokens.size(), progress);
}

Result<std::vector<TokenId>> Session::text_ids(std::string_view text, bool parse_special) const {
  const Model& model = *state_->model;
  const Tokenizer* tokenizer = model.tokenizer().get();
  if (!tokenizer) return Status(model.tokenizer_status());
  MemoryCharge memory(state_->ctx.memory, MemoryUse::other);
  PONDER_TRY(count_text(text, memory));
  PONDER_ASSIGN(std::vector<TokenId> ids, tokenizer->encode(text, {parse_special}));
  if (tokenizer->add_bos() && tokenizer->bos()) ids.insert(ids.begin(), *tokenizer->bos());
  if (ids.empty()) return Status(Code::invalid_argument, "the text is empty and the tokenizer adds no BOS");
  return ids;
}

Status Session::prompt_text(std::string_view text, bool parse_special, const Progress& progress) {
  PONDER_ASSIGN(const std::vector<TokenId> ids, text_ids(text, parse_special));
  return prompt_ids(ids, progress);
}

Result<std::vector<TokenId>> Session::render_chat_ids(const Json& messages, const Json& tools,
                                                      const ChatOptions& options) const {
  const Model& model = *state_->model;
  const Tokenizer* tokenizer = model.tokenizer().get();
  if (!tokenizer) return Status(model.tokenizer_status());
  if (!model.chat_template()) return Status(model.chat_template_status());
  ChatInput input;
  input.messages = messages;
  input.tools = tools;
  input.add_generation_prompt = options.add_generation_prompt;
  input.bos_token = tokenizer->bos_text();
  input.eos_token = tokenizer->eos_text();
  input.kwargs = options.kwargs;
  MemoryCharge values(state_->ctx.memory, MemoryUse::other), memory(state_->ctx.memory, MemoryUse::other);
  input.memory = &values;
  PONDER_ASSIGN(const RenderedChat chat, model.chat_template()->render(input));
  PONDER_TRY(count_text(chat.text, memory));
  if (options.trust_content) return tokenizer->encode(chat.text, {true});
  return tokenizer->encode_with_content(chat.text, chat.content);
}

Status Session::prompt_chat(const Json& messages, const Json& tools, const ChatOptions& options,
                            const Progress& progress) {
  PONDER_ASSIGN(const std::vector<TokenId> ids, render_chat_ids(messages, tools, options));
  return prompt_ids(ids, progress);
}

}  // namespace ponder::core
