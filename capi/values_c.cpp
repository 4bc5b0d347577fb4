#include "capi/values.h"

#include <algorithm>

#include "lib/base/format.h"

namespace ponder::capi {

using core::Code;
using core::fail;
using core::Status;

std::filesystem::path to_path(const char* utf8) {
  const std::string_view text(utf8);
  return std::u8string(text.begin(), text.end());
}

Status to_core(const ponder_session_params* params, core::SessionParams& out) {
  ponder_session_params p;
  PONDER_TRY(read_params("ponder_session_params", params, p));
  PONDER_TRY(check_flags("ponder_session_params.flags", p.flags, PONDER_SESSION_DEFER_PREFILL));
  if (p.context_length < 0) return fail(Code::invalid_argument, "context_length: {}, want 0 or more", p.context_length);
  if (p.prefill_chunk < 0) return fail(Code::invalid_argument, "prefill_chunk: {}, want 0 or more", p.prefill_chunk);
  out.context_length = static_cast<std::size_t>(p.context_length);
  out.prefill_chunk = static_cast<std::size_t>(p.prefill_chunk);
  out.n_threads = p.n_threads;
  out.defer_prefill = (p.flags & PONDER_SESSION_DEFER_PREFILL) != 0;
  if (p.prompt_cache_bytes < 0)
    return fail(Code::invalid_argument, "prompt_cache_bytes: {}, want 0 or more", p.prompt_cache_bytes);
  if (p.prompt_cache_min_tokens < 0)
    return fail(Code::invalid_argument, "prompt_cache_min_tokens: {}, want 0 or more", p.prompt_cache_min_tokens);
  PONDER_TRY(check_flags("ponder_session_params.reserved", p.reserved, 0));
  if (p.prompt_cache) out.prompt_cache.folder = to_path(p.prompt_cache);
  out.prompt_cache.max_bytes = static_cast<std::uint64_t>(p.prompt_cache_bytes);
  out.prompt_cache.min_tokens = static_cast<std::size_t>(p.prompt_cache_min_tokens);
  switch (p.compute) {
    case PONDER_COMPUTE_DEFAULT:
    case PONDER_COMPUTE_FAST: out.compute = core::Compute::fast; break;
    case PONDER_COMPUTE_EXACT: out.compute = core::Compute::exact; break;
    default: return fail(Code::invalid_argument, "compute: {}, want a PONDER_COMPUTE_ value", p.compute);
  }
  switch (p.kv_type) {
    case PONDER_KV_DEFAULT:
      out.kv_type = out.compute == core::Compute::exact ? core::DType::f32 : core::DType::f16;
      break;
    case PONDER_KV_F32: out.kv_type = core::DType::f32; break;
    case PONDER_KV_F16: out.kv_type = core::DType::f16; break;
    case PONDER_KV_BF16: out.kv_type = core::DType::bf16; break;
    case PONDER_KV_Q8_0: out.kv_type = core::DType::q8_0; break;
    case PONDER_KV_FP8: out.kv_type = core::DType::f8_e4m3; break;
    default: return fail(Code::invalid_argument, "kv_type: {}, want a PONDER_KV_ value", p.kv_type);
  }
  return {};
}

Status to_core(const ponder_generate_params* params, core::GenerateParams& out) {
  ponder_generate_params p;
  PONDER_TRY(read_params("ponder_generate_params", params, p));
  PONDER_TRY(check_flags("ponder_generate_params.flags", p.flags,
                         PONDER_GENERATE_IGNORE_EOS | PONDER_GENERATE_CONTEXT_SHIFT));
  PONDER_TRY(need_array("logit_bias", p.logit_bias, p.n_logit_bias));
  PONDER_TRY(need_array("stop", p.stop, p.n_stop));
  PONDER_TRY(need_array("stop_ids", p.stop_ids, p.n_stop_ids));
  if (p.context_keep < 0) return fail(Code::invalid_argument, "context_keep: {}, want 0 or more", p.context_keep);
  if (p.think_budget < PONDER_THINK_NONE)
    return fail(Code::invalid_argument, "think_budget: {}, want 0 or -1 (no limit), a number of tokens or PONDER_THINK_NONE (-2)",
                p.think_budget);
  if (p.n_top_logprobs < 0) return fail(Code::invalid_argument, "n_top_logprobs: {}, want 0 or more", p.n_top_logprobs);
  out = {};
  out.max_new_tokens = p.max_new_tokens;
  out.ignore_eos = (p.flags & PONDER_GENERATE_IGNORE_EOS) != 0;
  out.context_shift = (p.flags & PONDER_GENERATE_CONTEXT_SHIFT) != 0;
  out.context_keep = static_cast<std::size_t>(p.context_keep);
  // The core counts from 0 (no thinking at all) and takes -1 for no limit.
  out.think_budget = p.think_budget == PONDER_THINK_NONE ? 0 : p.think_budget <= 0 ? -1 : p.think_budget;
  out.n_top_logprobs = static_cast<std::size_t>(p.n_top_logprobs);

  core::SamplingParams& s = out.sampling;
  const auto set = [](auto& field, auto value) {  // 0: what the core's struct starts with
    if (value != 0) field = value;
  };
  s.seed = p.seed;
  s.temperature = p.temperature;
  s.top_k = p.top_k;
  s.top_p = p.top_p;
  s.min_p = p.min_p;
  s.typical_p = p.typical_p;
  s.top_n_sigma = p.top_n_sigma;
  s.xtc_probability = p.xtc_probability;
  set(s.xtc_threshold, p.xtc_threshold);
  s.mirostat = p.mirostat;
  set(s.mirostat_tau, p.mirostat_tau);
  set(s.mirostat_eta, p.mirostat_eta);
  set(s.repetition_penalty, p.repetition_penalty);
  s.presence_penalty = p.presence_penalty;
  s.frequency_penalty = p.frequency_penalty;
  set(s.penalty_last_n, p.penalty_last_n);
  s.dry_multiplier = p.dry_multiplier;
  set(s.dry_base, p.dry_base);
  set(s.dry_allowed_length, p.dry_allowed_length);
  set(s.dry_last_n, p.dry_last_n);
  for (std::size_t i = 0; i < p.n_logit_bias; ++i) s.logit_bias.emplace_back(p.logit_bias[i].id, p.logit_bias[i].bias);
  s.user_sampler = {p.sampler, p.sampler_user_data};
  for (std::size_t i = 0; i < p.n_stop; ++i) {
    PONDER_TRY(need_array(core::formatted("stop[{}].data", i).c_str(), p.stop[i].data, p.stop[i].size));
    out.stop.emplace_back(p.stop[i].data ? p.stop[i].data : "", p.stop[i].size);
  }
  if (p.n_stop_ids > 0) out.stop_ids.assign(p.stop_ids, p.stop_ids + p.n_stop_ids);
  return {};
}

Status to_core(const ponder_reasoning_params* params, core::ReasoningParams& out) {
  ponder_reasoning_params p;
  PONDER_TRY(read_params("ponder_reasoning_params", params, p));
  PONDER_TRY(check_flags("ponder_reasoning_params.flags", p.flags, PONDER_REASONING_NO_LOOP_DETECTION));
  constexpr std::int64_t kNoLimit = -1, kEfforts[] = {kNoLimit, 0, 512, 4096, kNoLimit};
  if (p.effort < PONDER_EFFORT_DEFAULT || p.effort > PONDER_EFFORT_HIGH)
    return fail(Code::invalid_argument, "effort: {}, want 0 (default) to 4 (high)", p.effort);
  struct Field {
    const char* name;
    std::int64_t value, lowest;
  };
  for (const Field& f : {Field{"grace", p.grace, -1}, {"turn_budget", p.turn_budget, -1}, {"block_budget", p.block_budget, -1},
                         {"answer_reserve", p.answer_reserve, -1}, {"min_tokens", p.min_tokens, 0}, {"max_waits", p.max_waits, 0}})
    if (f.value < f.lowest) return fail(Code::invalid_argument, "{}: {}, want {} or more", f.name, f.value, f.lowest);
  out = {};
  out.enabled = params != nullptr;
  const auto or_none = [](std::int64_t value, std::int64_t by_default) { return value == 0 ? by_default : std::max<std::int64_t>(value, 0); };
  out.grace = or_none(p.grace, core::ReasoningParams::kDefaultGrace);
  out.turn_budget = p.turn_budget == 0 ? kEfforts[p.effort] : p.turn_budget;
  out.block_budget = p.block_budget == 0 ? kNoLimit : p.block_budget;
  out.answer_reserve = or_none(p.answer_reserve, -1);
  out.min_tokens = p.min_tokens;
  out.max_waits = p.max_waits;
  if (p.wait_text) out.wait_text = p.wait_text;
  if (p.message) out.message = p.message;
  for (const Field& f : {Field{"early_exit", p.early_exit, 0}, {"probe_every", p.probe_every, 0}, {"probe_agree", p.probe_agree, 0},
                         {"probe_tokens", p.probe_tokens, 0}, {"probe_max", p.probe_max, 0}})
    if (f.value < f.lowest) return fail(Code::invalid_argument, "{}: {}, want {} or more", f.name, f.value, f.lowest);
  if (p.early_exit > PONDER_EARLY_EXIT_CONFIDENCE)
    return fail(Code::invalid_argument, "early_exit: {}, want 0 (default) to 3", p.early_exit);
  const bool by_effort = p.effort == PONDER_EFFORT_LOW || p.effort == PONDER_EFFORT_MEDIUM;
  out.early_exit = p.early_exit == PONDER_EARLY_EXIT_CONFIDENCE                                                ? core::EarlyExit::confidence
                   : p.early_exit == PONDER_EARLY_EXIT_PROBE || (p.early_exit == PONDER_EARLY_EXIT_DEFAULT && by_effort) ? core::EarlyExit::probe
                                                                                                               : core::EarlyExit::off;
  const auto set = [](auto& field, auto value) {
    if (value != 0) field = value;
  };
  set(out.confidence, p.confidence);
  set(out.probe_every, p.probe_every);
  set(out.probe_agree, p.probe_agree);
  set(out.probe_tokens, p.probe_tokens);
  out.probe_max = p.probe_max == 0 && out.early_exit == core::EarlyExit::confidence ? 10 : p.probe_max;
  if (p.probe_text) out.probe_text = p.probe_text;
  out.detect_loops = (p.flags & PONDER_REASONING_NO_LOOP_DETECTION) == 0;
  return {};
}

ponder_generate_params to_c(const core::GenerateParams& g, ponder_session* arrays) {
  ponder_generate_params p = ponder_generate_params_default();
  const core::SamplingParams& s = g.sampling;
  p.flags = (g.ignore_eos ? PONDER_GENERATE_IGNORE_EOS : 0) | (g.context_shift ? PONDER_GENERATE_CONTEXT_SHIFT : 0);
  p.max_new_tokens = g.max_new_tokens;
  p.think_budget = g.think_budget == -1 ? 0 : g.think_budget == 0 ? PONDER_THINK_NONE : g.think_budget;
  p.context_keep = static_cast<std::int64_t>(g.context_keep);
  p.seed = s.seed;
  p.temperature = s.temperature;
  p.top_k = s.top_k;
  p.top_p = s.top_p;
  p.min_p = s.min_p;
  p.typical_p = s.typical_p;
  p.top_n_sigma = s.top_n_sigma;
  p.xtc_probability = s.xtc_probability;
  p.xtc_threshold = s.xtc_threshold;
  p.mirostat = s.mirostat;
  p.mirostat_tau = s.mirostat_tau;
  p.mirostat_eta = s.mirostat_eta;
  p.repetition_penalty = s.repetition_penalty;
  p.presence_penalty = s.presence_penalty;
  p.frequency_penalty = s.frequency_penalty;
  p.penalty_last_n = s.penalty_last_n;
  p.dry_multiplier = s.dry_multiplier;
  p.dry_base = s.dry_base;
  p.dry_allowed_length = s.dry_allowed_length;
  p.dry_last_n = s.dry_last_n;
  p.n_top_logprobs = static_cast<std::int32_t>(g.n_top_logprobs);
  p.sampler = s.user_sampler.fn;
  p.sampler_user_data = s.user_sampler.user_data;
  if (!arrays) return p;
  arrays->logit_bias.clear();
  for (const auto& [id, bias] : s.logit_bias) arrays->logit_bias.push_back({id, bias});
  arrays->stop.clear();
  for (const std::string& text : g.stop) arrays->stop.push_back({text.data(), text.size()});
  p.logit_bias = arrays->logit_bias.data(), p.n_logit_bias = arrays->logit_bias.size();
  p.stop = arrays->stop.data(), p.n_stop = arrays->stop.size();
  p.stop_ids = g.stop_ids.data(), p.n_stop_ids = g.stop_ids.size();
  return p;
}

Status memory_files(const ponder_memory_file* files, std::size_t n_files, std::shared_ptr<const core::FileSource>& out) {
  std::vector<core::MemoryFile> list;
  for (std::size_t i = 0; i < n_files; ++i) {
    if (!files[i].name) return fail(Code::invalid_argument, "files[{}].name must not be NULL", i);
    PONDER_TRY(core::check_file_name(files[i].name).with_prefix(core::formatted("files[{}].name", i)));
    PONDER_TRY(need_array(core::formatted("files[{}].data", i).c_str(), files[i].data, files[i].size));
    list.push_back({files[i].name, {static_cast<const std::byte*>(files[i].data), files[i].size}});
  }
  out = core::memory_source(std::move(list));
  return {};
}

Status host_files(const ponder_file_system* files, core::HostFiles& out) {
  PONDER_TRY(need({{"files", files}}));
  ponder_file_system f;
  PONDER_TRY(read_params("ponder_file_system", files, f));
  PONDER_TRY(check_flags("ponder_file_system.flags", f.flags, 0));
  for (const auto& [name, there] : {std::pair("open", f.open != nullptr), {"read", f.read != nullptr}, {"close", f.close != nullptr}})
    if (!there) return fail(Code::invalid_argument, "ponder_file_system.{} must not be NULL", name);
  out = {f.user_data, f.open, f.read, f.close, f.map};
  return {};
}

Status parse_argument(const char* name, const char* text, std::size_t size, core::Json& out) {
  core::Result<core::Json> json = core::parse_json({text ? text : "", size}, name);
  if (json.ok()) {
    out = std::move(json).value();
    return {};
  }
  const Code code = json.status().code() == Code::bad_file ? Code::invalid_argument : json.status().code();
  return {code, json.status().message()};
}

Status read_conversation(const char* messages_json, std::size_t messages_json_len, const char* kwargs_json,
                         std::size_t kwargs_json_len, std::uint32_t flags, Conversation& out) {
  PONDER_TRY(need({{"messages_json", messages_json}}));
  PONDER_TRY(need_array("kwargs_json", kwargs_json, kwargs_json_len));
  PONDER_TRY(parse_argument("messages_json", messages_json, messages_json_len, out.messages));
  if (out.messages.is_object()) {
    core::Json request = std::move(out.messages);
    core::Json* messages = request.find("messages");
    if (!messages) return Status(Code::invalid_argument, "messages_json: an object without \"messages\"");
    if (core::Json* tools = request.find("tools")) out.tools = std::move(*tools);
    if (!out.tools.is_null() && !out.tools.is_array())
      return fail(Code::invalid_argument, "messages_json: tools is {}, want an array", out.tools.type_name());
    if (const core::Json* add = request.find("add_generation_prompt"); add && !add->is_null()) {
      if (!add->is_bool())
        return fail(Code::invalid_argument, "messages_json: add_generation_prompt is {}, want a boolean", add->type_name());
      out.add_generation_prompt = add->as_bool();
    }
    out.messages = core::Json(std::move(*messages));
  }
  if (!out.messages.is_array())
    return fail(Code::invalid_argument, "messages_json: {}, want an array or {{messages, tools, add_generation_prompt}}",
                out.messages.type_name());
  for (std::size_t i = 0; i < out.messages.as_array().size(); ++i) {
    const core::Json& message = out.messages.as_array()[i];
    const core::Json* role = message.find("role");
    if (!message.is_object() || !role || !role->is_string())
      return fail(Code::invalid_argument, "messages_json: message {} is {}, want an object with a role", i,
                  message.is_object() ? "without a role" : message.type_name());
  }
  if (flags & PONDER_CHAT_NO_GENERATION_PROMPT) out.add_generation_prompt = false;
  if (kwargs_json) {
    PONDER_TRY(parse_argument("kwargs_json", kwargs_json, kwargs_json_len, out.kwargs));
    if (!out.kwargs.is_object() && !out.kwargs.is_null())
      return fail(Code::invalid_argument, "kwargs_json: {}, want an object", out.kwargs.type_name());
  }
  return {};
}

}  // namespace ponder::capi
