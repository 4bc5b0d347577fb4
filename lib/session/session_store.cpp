// Saved sessions. All numbers little endian:
//   "PNDRSESS"  u32 version  u32 0  u64 fingerprint of the model  u64 bytes of the body  body  u64 checksum of all before
// The body holds the tokens, the reply's state, the sampling settings and their random state, the logits when they are
// there, and the cached rows [layer][token][row_elements] in the cache's own type.
#include <cstring>

#include "lib/base/format.h"
#include "lib/io/mapped_file.h"
#include "lib/session/session_state.h"
#include "lib/session/state_bytes.h"
#include "lib/text/utf8.h"

namespace ponder::core {

namespace {

constexpr std::string_view kMagic = "PNDRSESS";
constexpr std::uint32_t kVersion = 2;
constexpr std::size_t kHeaderBytes = 32, kChecksumBytes = 8;
constexpr std::size_t kMaxForcing = 2 * ReasoningParams::kMaxTextBytes;
constexpr std::int32_t kMaxThinkEnd = static_cast<std::int32_t>(ThinkEnd::user);
constexpr std::int64_t kMaxCount = std::int64_t{1} << 48;  // of tokens generated: sums of a few stay far from overflow

// One list of fields for both ways: visit(field) writes or reads it.
template <class Visit>
void visit_params(GenerateParams& g, Visit&& visit) {
  SamplingParams& s = g.sampling;
  visit(s.temperature), visit(s.top_k), visit(s.top_p), visit(s.min_p), visit(s.typical_p), visit(s.top_n_sigma);
  visit(s.xtc_probability), visit(s.xtc_threshold), visit(s.mirostat), visit(s.mirostat_tau), visit(s.mirostat_eta);
  visit(s.repetition_penalty), visit(s.presence_penalty), visit(s.frequency_penalty), visit(s.penalty_last_n);
  visit(s.dry_multiplier), visit(s.dry_base), visit(s.dry_allowed_length), visit(s.dry_last_n), visit(s.seed);
  visit(g.max_new_tokens), visit(g.ignore_eos), visit(g.think_budget), visit(g.context_shift);
  ReasoningParams& r = g.reasoning;
  visit(r.enabled), visit(r.turn_budget), visit(r.block_budget), visit(r.grace), visit(r.min_tokens), visit(r.max_waits);
  visit(r.answer_reserve), visit(r.detect_loops);
  visit(r.probe_every), visit(r.probe_agree), visit(r.probe_tokens), visit(r.probe_max), visit(r.confidence);
}

}  // namespace

Result<std::string> Session::save(MemoryCharge* memory) const {
  State& st = *state_;
  st.drop_probe();
  const std::size_t n_cached = st.kv.n_tokens(), row_bytes = st.kv.layout().row_bytes(), n_layers = st.kv.layout().n_layers;
  std::size_t n_bytes = n_cached * n_layers * row_bytes + st.logits.size() * sizeof(float) + st.tokens.size() * 8 +
                        st.generate.sampling.logit_bias.size() * 8 + st.generate.stop_ids.size() * sizeof(TokenId) + 4096;
  for (const std::string& stop : st.generate.stop) n_bytes += stop.size() + 8;
  n_bytes += st.generate.reasoning.message.size() + st.generate.reasoning.wait_text.size() +
             st.generate.reasoning.probe_text.size() + st.probed.answer.size() + st.forcing.size() * sizeof(TokenId);
  if (memory) PONDER_TRY(memory->raise_to(n_bytes).with_prefix("saved session"));
  std::string out(kMagic);
  out.reserve(n_bytes);
  Writer w(out);
  w.number(kVersion);
  w.number<std::uint32_t>(0);
  w.number(st.fingerprint());
  w.number<std::uint64_t>(0);  // bytes of the body: below
  w.number<std::uint64_t>(n_layers);
  w.number<std::uint64_t>(st.kv.layout().row_elements);
  w.number(static_cast<std::uint32_t>(st.kv.layout().type));
  w.number<std::uint64_t>(n_cached);
  w.number<std::uint64_t>(st.tokens.size());
  for (TokenId id : st.tokens) w.number(id);
  for (const State::TokenInfo& info : st.infos)
    w.number(static_cast<std::uint8_t>((info.generated ? 1 : 0) | (info.forced ? 2 : 0) | (info.thinking ? 4 : 0)));
  w.number<std::uint64_t>(st.n_prompt);
  w.number(st.n_generated);
  w.number(static_cast<std::int32_t>(st.reasoning.channel()));
  w.number<std::uint64_t>(st.forcing.size() - st.n_forced_ids);
  w.number(st.at_line_start);
  w.number(st.trim_newlines);
  w.number(static_cast<std::int32_t>(st.finish));
  for (std::int64_t n : {st.stats.prompt_tokens, st.stats.reused_tokens, st.stats.thinking_tokens, st.stats.answer_tokens,
                         st.stats.forced_tokens})
    w.number(n);
  w.bytes(st.stop.held());
  for (TokenId id : std::span(st.forcing).subspan(st.n_forced_ids)) w.number(id);
  const State::Thinking& thinking = st.thinking;
  w.number(thinking.block_tokens), w.number(thinking.n_waits), w.number(thinking.asked_at);
  w.number(static_cast<std::int32_t>(thinking.end)), w.number(static_cast<std::int32_t>(thinking.asked));
  w.number(thinking.over), w.number(thinking.answer_blank), w.number(thinking.answer_loops);
  w.number(st.probed.at), w.number(st.probed.n_probes), w.number(st.probed.n_agree), w.number(st.stats.probe_tokens);
  w.bytes(st.probed.answer);
  w.number(st.at_sentence_end);
  w.number(st.after_digit);

  GenerateParams params = st.generate;
  visit_params(params, [&](auto& field) { w.number(field); });
  w.number<std::uint64_t>(params.context_keep);
  w.bytes(params.reasoning.message), w.bytes(params.reasoning.wait_text), w.bytes(params.reasoning.probe_text);
  w.number(static_cast<std::int32_t>(params.reasoning.early_exit));
  w.number<std::uint64_t>(params.sampling.logit_bias.size());
  for (const auto& [id, bias] : params.sampling.logit_bias) w.number(id), w.number(bias);
  w.number<std::uint64_t>(params.stop.size());
  for (const std::string& stop : params.stop) w.bytes(stop);
  w.number<std::uint64_t>(params.stop_ids.size());
  for (TokenId id : params.stop_ids) w.number(id);
  const Sampler::State random = st.sampler.state();
  w.number(random.rng[0]), w.number(random.rng[1]), w.number(random.mirostat_mu);

  w.number(st.logits_valid);
  if (st.logits_valid)
    for (float logit : st.logits) w.number(logit);
  for (std::size_t layer = 0; layer < n_layers; ++layer) {
    std::vector<std::byte> layer_rows(n_cached * row_bytes);
    PONDER_TRY(st.kv.read_rows(layer, 0, n_cached, layer_rows.data()));
    w.raw(layer_rows.data(), layer_rows.size());
  }

  std::string body_bytes;
  Writer(body_bytes).number<std::uint64_t>(out.size() - kHeaderBytes);
  out.replace(kHeaderBytes - body_bytes.size(), body_bytes.size(), body_bytes);
  w.number(checksum(out));
  return out;
}

Status Session::restore(std::string_view bytes) {
  State& st = *state_;
  const auto broken = [](std::string_view what) { return fail(Code::bad_file, "saved session: {}", what); };
  if (bytes.size() < kHeaderBytes + kChecksumBytes) return fail(Code::bad_file, "saved session: {} bytes, cut off", bytes.size());
  if (bytes.substr(0, kMagic.size()) != kMagic) return broken("no ponder session (it does not begin with PNDRSESS)");
  Reader head(bytes.substr(kMagic.size()));
  const auto version = head.number<std::uint32_t>();
  (void)head.number<std::uint32_t>();
  const auto fingerprint = head.number<std::uint64_t>(), body_bytes = head.number<std::uint64_t>();
  if (version != kVersion) return fail(Code::unsupported, "saved session: version {}, this library reads {}", version, kVersion);
  if (body_bytes != bytes.size() - kHeaderBytes - kChecksumBytes)
    return fail(Code::bad_file, "saved session: {} bytes of content, the header says {}",
                bytes.size() - kHeaderBytes - kChecksumBytes, body_bytes);
  const std::string_view signed_part = bytes.substr(0, bytes.size() - kChecksumBytes);
  if (Reader(bytes.substr(signed_part.size())).number<std::uint64_t>() != checksum(signed_part))
    return broken("the checksum does not match: the data is damaged");
  if (fingerprint != st.fingerprint())
    return fail(Code::invalid_argument,
                "saved session: made with another model or other adapters (fingerprint {:016x}, this one has {:016x})",
                fingerprint, st.fingerprint());

  Reader r(signed_part.substr(kHeaderBytes));
  const KvLayout& layout = st.kv.layout();
  const auto n_layers = r.number<std::uint64_t>(), row_elements = r.number<std::uint64_t>();
  const auto type = r.number<std::uint32_t>();
  if (!r.ok() || n_layers != layout.n_layers || row_elements != layout.row_elements)
    return broken("the shape of its cache is not this model's");
  if (type != static_cast<std::uint32_t>(layout.type))
    return fail(Code::invalid_argument, "saved session: cache of type {}, this session's kv_type is {}",
                dtype_name(static_cast<DType>(type)), dtype_name(layout.type));
  const auto n_cached = r.number<std::uint64_t>();
  const std::size_t n_tokens = r.count(5);
  if (!r.ok() || n_cached > n_tokens) return broken("more cached rows than tokens");
  if (n_tokens > st.params.context_length)
    return fail(Code::context_full, "saved session: {} tokens, this session's context_length is {}", n_tokens,
                st.params.context_length);
  std::vector<TokenId> tokens(n_tokens);
  for (TokenId& id : tokens) id = r.number<TokenId>();
  PONDER_TRY(st.check_ids(tokens).with_prefix("saved session"));
  std::vector<State::TokenInfo> infos(n_tokens);
  for (State::TokenInfo& info : infos) {
    const auto bits = r.number<std::uint8_t>();
    info = {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
  }
  const auto n_prompt = r.number<std::uint64_t>();
  const auto n_generated = r.number<std::int64_t>();
  const auto channel = r.number<std::int32_t>();
  const auto n_forcing = r.number<std::uint64_t>();
  const bool at_line_start = r.number<bool>(), trim_newlines = r.number<bool>();
  const auto finish = r.number<std::int32_t>();
  SessionStats stats;
  for (std::int64_t* n : {&stats.prompt_tokens, &stats.reused_tokens, &stats.thinking_tokens, &stats.answer_tokens,
                          &stats.forced_tokens})
    *n = r.number<std::int64_t>();
  const std::string_view held = r.bytes();
  if (!r.ok() || n_forcing > kMaxForcing) return broken("more tokens to be forced than there can be");
  std::vector<TokenId> forcing(n_forcing);
  for (TokenId& id : forcing) id = r.number<TokenId>();
  if (!st.check_ids(forcing).ok()) return broken("a token that is to be forced is none");
  State::Thinking thinking;
  for (std::int64_t* n : {&thinking.block_tokens, &thinking.n_waits, &thinking.asked_at}) *n = r.number<std::int64_t>();
  const auto think_end = r.number<std::int32_t>(), asked = r.number<std::int32_t>();
  thinking.over = r.number<bool>(), thinking.answer_blank = r.number<bool>(), thinking.answer_loops = r.number<bool>();
  thinking.end = static_cast<ThinkEnd>(think_end), thinking.asked = static_cast<ThinkEnd>(asked);
  State::Probed probed;
  std::int64_t probe_tokens = 0;
  for (std::int64_t* n : {&probed.at, &probed.n_probes, &probed.n_agree, &probe_tokens}) *n = r.number<std::int64_t>();
  probed.answer = r.bytes();
  const bool at_sentence_end = r.number<bool>(), after_digit = r.number<bool>();

  GenerateParams params;
  visit_params(params, [&](auto& field) { field = r.number<std::remove_reference_t<decltype(field)>>(); });
  params.context_keep = r.number<std::uint64_t>();
  params.reasoning.message = r.bytes();
  params.reasoning.wait_text = r.bytes();
  params.reasoning.probe_text = r.bytes();
  params.reasoning.early_exit = static_cast<EarlyExit>(r.number<std::int32_t>());
  params.sampling.logit_bias.resize(r.count(8));
  for (auto& [id, bias] : params.sampling.logit_bias) id = r.number<TokenId>(), bias = r.number<float>();
  params.stop.resize(r.count(8));
  for (std::string& stop : params.stop) stop = r.bytes();
  params.stop_ids.resize(r.count(4));
  for (TokenId& id : params.stop_ids) id = r.number<TokenId>();
  Sampler::State random;
  random.rng[0] = r.number<std::uint64_t>(), random.rng[1] = r.number<std::uint64_t>();
  random.mirostat_mu = r.number<float>();
  const bool has_logits = r.number<bool>();
  const std::string_view logits = has_logits ? r.raw(st.logits.size() * sizeof(float)) : std::string_view();
  const auto is_count = [](std::int64_t n) { return n >= 0 && n <= kMaxCount; };
  const bool fits = n_prompt <= n_tokens && is_count(n_generated) && (channel == 0 || channel == 1) && finish >= 0 &&
                    finish <= 5 && think_end >= 0 && think_end <= kMaxThinkEnd && asked >= 0 && asked <= kMaxThinkEnd &&
                    is_count(probed.at) && is_count(probed.n_probes) && is_count(probed.n_agree) && is_count(probe_tokens) &&
                    is_count(thinking.block_tokens) && is_count(thinking.n_waits) && is_count(thinking.asked_at) &&
                    (forcing.empty() || st.reasoning.available()) &&
                    held.size() <= 2 * StopMatcher::kMaxStopBytes && utf8::first_invalid(held) == held.npos &&
                    is_count(stats.prompt_tokens) && is_count(stats.reused_tokens) && is_count(stats.thinking_tokens) &&
                    is_count(stats.answer_tokens) && is_count(stats.forced_tokens) &&
                    !(has_logits && n_cached != n_tokens);
  if (!r.ok() || !fits) return broken("a field is out of range");
  const std::string_view rows = r.raw(n_cached * layout.n_layers * layout.row_bytes());
  if (!r.ok() || !r.at_end()) return broken("its length does not fit its content");
  // A function of this process, and what the host wants to see: not part of the state.
  params.sampling.user_sampler = st.generate.sampling.user_sampler;
  params.n_top_logprobs = st.generate.n_top_logprobs;
  if (Status status = set_generate_params(params); !status.ok()) return std::move(status).with_prefix("saved session");

  st.drop_probe();
  // Nothing below fails: the memory is there since the session was made.
  st.cancel.store(false, std::memory_order_relaxed);
  st.skip.store(false, std::memory_order_relaxed);
  st.cut(0);
  PONDER_TRY(st.kv.prepare(n_cached));
  for (std::size_t layer = 0; layer < layout.n_layers; ++layer)
    PONDER_TRY(st.kv.write_rows(layer, 0, n_cached, rows.data() + layer * n_cached * layout.row_bytes()));
  st.kv.commit(n_cached);
  st.tokens.assign(tokens.begin(), tokens.end());
  st.infos.assign(infos.begin(), infos.end());
  st.n_prompt = n_prompt;
  st.replay();  // for an unfinished character
  st.n_generated = n_generated;
  st.reasoning.set_channel(static_cast<Channel>(channel));
  st.force(forcing);
  st.thinking = thinking;
  st.probed = std::move(probed);
  st.at_line_start = at_line_start;
  st.at_sentence_end = at_sentence_end;
  st.after_digit = after_digit;
  st.trim_newlines = trim_newlines;
  st.stats = stats;
  st.stats.probe_tokens = probe_tokens;
  st.stop.set_held(held);
  st.sampler.set_state(random);
  Reader values(logits);
  for (std::size_t i = 0; has_logits && i < st.logits.size(); ++i) st.logits[i] = values.number<float>();
  st.logits_valid = has_logits;
  st.finish = static_cast<FinishReason>(finish);
  return {};
}

Status Session::save_file(const std::filesystem::path& path) const {
  MemoryCharge memory(state_->ctx.memory, MemoryUse::other);
  PONDER_ASSIGN(const std::string bytes, save(&memory));
  return write_file(path, std::as_bytes(std::span(bytes)));
}

Status Session::restore_file(const std::filesystem::path& path) {
  PONDER_ASSIGN(const std::shared_ptr<const MappedFile> file, MappedFile::open(path));
  return restore(file->text()).with_prefix(file->name());
}

}  // namespace ponder::core
