// Runs the cases of cases.json through the C ABI and prints them with what came out, as "want": conformance.json, which
// the tests of every binding compare with what they get.
// usage: make_conformance cases.json REPOSITORY > conformance.json
//        make_conformance cases.json REPOSITORY conformance.json    compares instead
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ponder/ponder.h"

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void replace_all(std::string& text, const std::string& what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
    text.replace(at, what.size(), with);
}

double rounded(double value) { return std::round(value * 1e4) / 1e4; }
// Numbers with a point depend on the instruction set.
bool alike(const Json& a, const Json& b) {
  if (a.is_number_float() || b.is_number_float())
    return a.is_number() && b.is_number() && std::abs(a.get<double>() - b.get<double>()) <= 2e-3 * std::max(1.0, std::abs(b.get<double>()));
  if (a.type() != b.type() || a.size() != b.size()) return a == b;
  if (a.is_array()) return std::equal(a.begin(), a.end(), b.begin(), alike);
  if (!a.is_object()) return a == b;
  for (const auto& [key, value] : a.items())
    if (!b.contains(key) || !alike(value, b.at(key))) return false;
  return true;
}
const char* channel_name(ponder_channel channel) { return channel == PONDER_CHANNEL_THINKING ? "thinking" : "answer"; }
const char* finish_name(ponder_finish finish) {
  static const char* const names[] = {"none", "stop", "length", "loop", "cancelled", "error"};
  return names[finish];
}

template <class T>
T sized() {
  T value;
  std::memset(&value, 0, sizeof value);
  value.struct_size = static_cast<std::uint32_t>(sizeof value);
  return value;
}

Json to_json(const ponder_token_event& event) {
  return Json::array({event.id, channel_name(event.channel), event.forced != 0, std::string(event.text, event.text_len)});
}

std::string take(ponder_buffer* buffer) {
  std::string text(static_cast<const char*>(ponder_buffer_data(buffer)), ponder_buffer_size(buffer));
  ponder_buffer_free(buffer);
  return text;
}

struct Collected {
  Json ids = Json::array();
  std::string thinking, answer;
  int stop_after = 0;
  void add(const ponder_token_event& event) {
    ids.push_back(event.id);
    (event.channel == PONDER_CHANNEL_THINKING ? thinking : answer).append(event.text, event.text_len);
  }
};

std::int32_t on_token(void* user_data, const ponder_token_event* event) {
  auto& collected = *static_cast<Collected*>(user_data);
  collected.add(*event);
  return static_cast<int>(collected.ids.size()) == collected.stop_after;
}

std::int32_t on_tensor(void* user_data, const char* name, ponder_dtype, const void*, const std::int64_t* shape,
                       std::int32_t n_dims) {
  (*static_cast<std::map<std::string, std::vector<std::int64_t>>*>(user_data))[name].assign(shape, shape + n_dims);
  return 0;
}

std::int32_t refuse(void*, float) { return 1; }

// The objects of one case, and one function per "do".
class Case {
 public:
  Case(const std::string& repository, const std::string& temporary) : repository_(repository), temporary_(temporary) {
    ponder_runtime_params params = ponder_runtime_params_default();
    params.n_threads = 2;
    ponder_runtime_create(&params, &runtime_, nullptr);
    ponder_model_load(runtime_, path("$TINY").c_str(), nullptr, &model_, nullptr);
  }
  ~Case() {
    for (auto& [name, session] : sessions_) ponder_session_free(session);
    for (auto& [name, adapter] : adapters_) ponder_adapter_free(adapter);
    ponder_model_free(model_);
    ponder_runtime_free(runtime_);
  }
  Case(const Case&) = delete;
  Case& operator=(const Case&) = delete;

  Json run(const Json& step) {
    err_ = {};
    want_ = Json::object();
    const ponder_status status = call(step.at("do"), step);
    Json result{{"status", ponder_status_name(status)}};
    if (status < 0) {
      std::string message = err_.message;
      replace_all(message, repository_, "$REPOSITORY");
      replace_all(message, temporary_, "$TEMP");
      result["message"] = message;
    }
    result.update(want_);
    return result;
  }

 private:
  std::string path(std::string text) const {
    replace_all(text, "$TINY", repository_ + "/examples/models/ponder-tiny-r1");
    replace_all(text, "$DATA", repository_ + "/tests/data");
    replace_all(text, "$ADAPTER", repository_ + "/examples/bindings/conformance/adapter");
    replace_all(text, "$TEMP", temporary_);
    return text;
  }
  std::string path_of(const Json& step, const char* name) const { return path(step.at(name).get<std::string>()); }

  ponder_session*& session(const Json& step) { return sessions_[step.value("session", "a")]; }

  template <class Function>
  ponder_status ids(Function&& list) {
    std::vector<std::int32_t> ids;
    std::size_t count = 0;
    ponder_status status = list(nullptr, 0, &count);
    ids.resize(count);
    if (status == PONDER_OK && count > 0) status = list(ids.data(), count, &count);
    if (status == PONDER_OK) want_["ids"] = ids;
    return status;
  }

  ponder_session_params session_params(const Json& step) {
    ponder_session_params p = ponder_session_params_default();
    p.context_length = step.value("context_length", std::int64_t{0});
    p.prefill_chunk = step.value("prefill_chunk", 0);
    p.n_threads = step.value("threads", 0);
    p.flags = step.value("defer_prefill", false) ? PONDER_SESSION_DEFER_PREFILL : 0;
    p.compute = PONDER_COMPUTE_EXACT;
    cache_ = path(step.value("prompt_cache", ""));
    p.prompt_cache = cache_.c_str();
    p.prompt_cache_min_tokens = step.value("prompt_cache_min_tokens", 0);
    const std::map<std::string, ponder_kv_type> kv_types{{"", 0}, {"f32", PONDER_KV_F32}, {"f16", PONDER_KV_F16},
      {"bf16", PONDER_KV_BF16}, {"q8_0", PONDER_KV_Q8_0}, {"fp8", PONDER_KV_FP8}};
    p.kv_type = kv_types.at(step.value("kv_type", ""));
    return p;
  }

  ponder_status set_params(const Json& step) {
    ponder_generate_params p = ponder_generate_params_default();
    p.flags = (step.value("ignore_eos", false) ? PONDER_GENERATE_IGNORE_EOS : 0) |
              (step.value("context_shift", false) ? PONDER_GENERATE_CONTEXT_SHIFT : 0);
    const auto number = [&](const char* name, auto& field) {
      if (step.contains(name)) field = step.at(name).get<std::remove_reference_t<decltype(field)>>();
    };
    for_each_number(p, number);
    std::vector<ponder_logit_bias> bias;
    for (const Json& entry : step.value("logit_bias", Json::array())) bias.push_back({entry.at(0), entry.at(1)});
    const auto stop = step.value("stop", std::vector<std::string>());
    std::vector<ponder_text> texts;
    for (const std::string& text : stop) texts.push_back({text.data(), text.size()});
    const auto stop_ids = step.value("stop_ids", std::vector<std::int32_t>());
    p.logit_bias = bias.data();
    p.n_logit_bias = bias.size();
    p.stop = texts.data();
    p.n_stop = texts.size();
    p.stop_ids = stop_ids.data();
    p.n_stop_ids = stop_ids.size();
    return ponder_session_set_params(session(step), &p, &err_);
  }

  template <class Function>
  static void for_each_number(ponder_generate_params& p, Function&& f) {
    f("max_new_tokens", p.max_new_tokens), f("think_budget", p.think_budget), f("context_keep", p.context_keep);
    f("seed", p.seed), f("temperature", p.temperature), f("top_k", p.top_k), f("top_p", p.top_p), f("min_p", p.min_p);
    f("typical_p", p.typical_p), f("top_n_sigma", p.top_n_sigma), f("xtc_probability", p.xtc_probability);
    f("xtc_threshold", p.xtc_threshold), f("mirostat", p.mirostat), f("mirostat_tau", p.mirostat_tau);
    f("mirostat_eta", p.mirostat_eta), f("repetition_penalty", p.repetition_penalty);
    f("presence_penalty", p.presence_penalty), f("frequency_penalty", p.frequency_penalty);
    f("penalty_last_n", p.penalty_last_n), f("dry_multiplier", p.dry_multiplier), f("dry_base", p.dry_base);
    f("dry_allowed_length", p.dry_allowed_length), f("dry_last_n", p.dry_last_n);
    f("n_top_logprobs", p.n_top_logprobs);
  }

  void tell_params(ponder_generate_params& p) {
    for_each_number(p, [&](const char* name, auto field) {
      if constexpr (std::is_floating_point_v<decltype(field)>)
        want_[name] = rounded(field);
      else
        want_[name] = field;
    });
    want_["ignore_eos"] = (p.flags & PONDER_GENERATE_IGNORE_EOS) != 0;
    want_["context_shift"] = (p.flags & PONDER_GENERATE_CONTEXT_SHIFT) != 0;
    want_["logit_bias"] = Json::array();
    for (std::size_t i = 0; i < p.n_logit_bias; ++i)
      want_["logit_bias"].push_back(Json::array({p.logit_bias[i].id, rounded(p.logit_bias[i].bias)}));
    want_["stop"] = Json::array();
    for (std::size_t i = 0; i < p.n_stop; ++i) want_["stop"].push_back(std::string(p.stop[i].data, p.stop[i].size));
    want_["stop_ids"] = std::vector<std::int32_t>(p.stop_ids, p.stop_ids + p.n_stop_ids);
  }

  // model: by reference, as the call that sets it is the first argument.
  ponder_status loaded(ponder_status status, ponder_model* const& model) {
    if (status != PONDER_OK) return status;
    ponder_model_free(std::exchange(model_, model));
    auto info = sized<ponder_model_info>();
    status = ponder_model_get_info(model_, &info, &err_);
    want_["vocab_size"] = info.vocab_size;
    want_["hidden_size"] = info.hidden_size;
    want_["num_hidden_layers"] = info.num_hidden_layers;
    want_["n_parameters"] = info.n_parameters;
    want_["has_tokenizer"] = info.has_tokenizer != 0;
    want_["has_chat_template"] = info.has_chat_template != 0;
    want_["has_mtp"] = info.has_mtp != 0;
    want_["fingerprint"] = std::to_string(info.fingerprint);
    ponder_buffer* report = nullptr;
    if (status == PONDER_OK) status = ponder_model_load_report(model_, &report, &err_);
    if (status == PONDER_OK) want_["warnings"] = Json::parse(take(report)).size();
    return status;
  }

  ponder_status call(const std::string& name, const Json& step) {
    if (const ponder_status s = call_on_session(name, step); s != kUnknown) return s;
    if (const ponder_status s = call_on_model(name, step); s != kUnknown) return s;
    if (const ponder_status s = call_on_text(name, step); s != kUnknown) return s;
    std::fprintf(stderr, "a step does '%s', which is not known\n", name.c_str());
    std::exit(1);
  }

  ponder_status call_on_session(const std::string& name, const Json& step) {
    if (name == "session") {
      const ponder_session_params params = session_params(step);
      ponder_session* made = nullptr;
      const ponder_status status = ponder_session_create(runtime_, model_, &params, &made, &err_);
      if (status == PONDER_OK) ponder_session_free(std::exchange(session(step), made));
      return status;
    }
    ponder_session* const s = session(step);
    if (name == "params") return set_params(step);
    if (name == "get_params") {
      auto p = sized<ponder_generate_params>();
      const ponder_status status = ponder_session_get_params(s, &p, &err_);
      if (status == PONDER_OK) tell_params(p);
      return status;
    }
    if (name == "prompt") {
      const std::string text = step.at("text");
      return ponder_session_prompt(s, text.data(), text.size(), &err_);
    }
    if (name == "prompt_chat" || name == "chat_ids") {
      const std::string messages = step.at("messages").dump();
      const std::string kwargs = step.contains("kwargs") ? step.at("kwargs").dump() : "";
      const std::uint32_t flags = (step.value("generation_prompt", true) ? 0 : PONDER_CHAT_NO_GENERATION_PROMPT) |
                                  (step.value("trust_content", false) ? PONDER_CHAT_TRUST_CONTENT : 0);
      if (name == "prompt_chat")
        return ponder_session_prompt_chat(s, messages.data(), messages.size(), kwargs.empty() ? nullptr : kwargs.data(), kwargs.size(), flags,
                                          nullptr, nullptr, &err_);
      return ids([&](std::int32_t* out, std::size_t capacity, std::size_t* count) {
        return ponder_session_chat_ids(s, messages.data(), messages.size(), kwargs.empty() ? nullptr : kwargs.data(), kwargs.size(), flags, out,
                                       capacity, count, &err_);
      });
    }
    if (name == "prompt_text") {
      const std::string text = step.at("text");
      return ponder_session_prompt_text(s, text.data(), text.size(),
                                        step.at("special").get<bool>() ? PONDER_ENCODE_SPECIAL : 0, nullptr, nullptr,
                                        &err_);
    }
    if (name == "prompt_ids" || name == "append_ids") {
      const auto list = step.at("ids").get<std::vector<std::int32_t>>();
      const auto function = name == "prompt_ids" ? ponder_session_prompt_ids : ponder_session_append_ids;
      return function(s, list.data(), list.size(), nullptr, nullptr, &err_);
    }
    if (name == "next") {
      auto event = sized<ponder_token_event>();
      ponder_status status = PONDER_OK;
      want_["events"] = Json::array();
      for (int i = 0; i < step.at("count").get<int>() && status == PONDER_OK; ++i) {
        status = ponder_session_next(s, &event, &err_);
        if (status == PONDER_OK) want_["events"].push_back(to_json(event));
      }
      want_["finish"] = finish_name(ponder_session_finish_reason(s));
      return status;
    }
    if (name == "step") {
      auto event = sized<ponder_token_event>();
      Collected collected;
      ponder_status status;
      do {
        status = ponder_session_step(s, step.at("budget_us"), &event, &err_);
        if (status == PONDER_OK) collected.add(event);
      } while (status == PONDER_OK || status == PONDER_PENDING);
      want_["ids"] = collected.ids;
      return status;
    }
    if (name == "generate") {
      Collected collected;
      collected.stop_after = step.value("stop_after", 0);
      ponder_status status = ponder_session_generate(s, on_token, &collected, &err_);
      if (status == PONDER_E_CANCELLED && collected.stop_after > 0) status = PONDER_OK;  // as it was asked to
      if (status != PONDER_OK) return status;
      want_["ids"] = collected.ids;
      want_["thinking"] = collected.thinking;
      want_["answer"] = collected.answer;
      want_["finish"] = finish_name(ponder_session_finish_reason(s));
      return status;
    }
    if (name == "next_batch") {
      std::vector<ponder_session*> list;
      for (const Json& one : step.at("sessions")) list.push_back(sessions_[one]);
      std::vector<ponder_token_event> events(list.size(), sized<ponder_token_event>());
      std::vector<ponder_status> statuses(list.size());
      const ponder_status status = ponder_session_next_batch(list.data(), list.size(), events.data(), statuses.data(), &err_);
      want_["events"] = Json::array();
      for (std::size_t i = 0; i < list.size(); ++i)
        want_["events"].push_back(statuses[i] == PONDER_OK ? to_json(events[i]) : Json(ponder_status_name(statuses[i])));
      return status;
    }
    if (name == "batch") return run_batch(step);
    if (name == "cancel") return ponder_session_cancel(s), PONDER_OK;
    if (name == "next_channel") return want_["channel"] = channel_name(ponder_session_next_channel(s)), PONDER_OK;
    if (name == "fork") {
      ponder_session* made = nullptr;
      const ponder_status status = ponder_session_fork(s, &made, &err_);
      if (status == PONDER_OK) ponder_session_free(std::exchange(sessions_[step.at("as")], made));
      return status;
    }
    if (name == "set_adapters") {
      std::vector<ponder_adapter_use> uses;
      for (const Json& one : step.at("adapters")) uses.push_back({adapters_[one], step.at("scale"), 0});
      return ponder_session_set_adapters(s, uses.data(), uses.size(), &err_);
    }
    if (name == "rewind") return ponder_session_rewind(s, step.at("n"), &err_);
    if (name == "save") {
      ponder_buffer* state = nullptr;
      const ponder_status status = ponder_session_save(s, &state, &err_);
      if (status == PONDER_OK) states_[step.at("as")] = take(state);
      return status;
    }
    if (name == "save_file") return ponder_session_save_file(s, path_of(step, "path").c_str(), &err_);
    if (name == "restore_file") return ponder_session_restore_file(s, path_of(step, "path").c_str(), &err_);
    if (name == "restore") {
      const std::string& state = states_.at(step.at("state"));
      return ponder_session_restore(s, state.data(), step.value("bytes", state.size()), &err_);
    }
    if (name == "tokens")
      return ids([&](std::int32_t* out, std::size_t capacity, std::size_t* count) {
        return ponder_session_tokens(s, out, capacity, count, &err_);
      });
    if (name == "stats") {
      auto stats = sized<ponder_session_stats>();
      const ponder_status status = ponder_session_get_stats(s, &stats, &err_);
      want_["context_length"] = stats.context_length;
      want_["n_tokens"] = stats.n_tokens;
      want_["prompt_tokens"] = stats.prompt_tokens;
      want_["reused_tokens"] = stats.reused_tokens;
      want_["thinking_tokens"] = stats.thinking_tokens;
      want_["answer_tokens"] = stats.answer_tokens;
      want_["forced_tokens"] = stats.forced_tokens;
      return status;
    }
    return call_for_numbers(name, step, s);
  }

  ponder_status run_batch(const Json& step) {
    ponder_batch_params params = ponder_batch_params_default();
    params.token_budget = step.value("token_budget", 0);
    ponder_batch* batch = nullptr;
    ponder_status status = ponder_batch_create(runtime_, model_, &params, &batch, &err_);
    std::map<ponder_session*, std::string> names;
    for (const Json& one : step.at("sessions")) {
      if (status == PONDER_OK) status = ponder_batch_add(batch, sessions_[one], 0, &err_);
      names[sessions_[one]] = one;
      want_[one.get<std::string>()] = Json::array();
    }
    std::vector<ponder_batch_event> events(names.size(), sized<ponder_batch_event>());
    std::size_t count = 0;
    while (status == PONDER_OK) {
      status = ponder_batch_next(batch, events.data(), events.size(), &count, &err_);
      for (std::size_t i = 0; status == PONDER_OK && i < count; ++i)
        if (events[i].status == PONDER_OK) want_[names[events[i].session]].push_back(events[i].token->id);
    }
    ponder_batch_free(batch);
    return status;
  }

  ponder_status call_for_numbers(const std::string& name, const Json& step, ponder_session* s) {
    auto info = sized<ponder_model_info>();
    ponder_model_get_info(model_, &info, nullptr);
    const auto vocab_size = static_cast<std::size_t>(info.vocab_size);
    if (name == "logits") {
      std::vector<float> logits(vocab_size);
      const ponder_status status = ponder_session_logits(s, logits.data(), logits.size(), &err_);
      if (status != PONDER_OK) return status;
      want_["size"] = logits.size();
      want_["first"] = Json::array();
      for (int i = 0; i < 8; ++i) want_["first"].push_back(rounded(logits[static_cast<std::size_t>(i)]));
      return status;
    }
    if (name == "top_logprobs") {
      std::vector<ponder_logprob> top(step.at("n").get<std::size_t>());
      const ponder_status status = ponder_session_top_logprobs(s, top.data(), top.size(), &err_);
      if (status != PONDER_OK) return status;
      want_["top"] = Json::array();
      for (const ponder_logprob& one : top) want_["top"].push_back(Json::array({one.id, rounded(one.logprob)}));
      return status;
    }
    if (name == "prompt_logprobs") {
      std::size_t count = 0;
      ponder_session_tokens(s, nullptr, 0, &count, nullptr);
      std::vector<float> logprobs(count);
      const ponder_status status = ponder_session_prompt_logprobs(s, logprobs.data(), count, &err_);
      want_["logprobs"] = Json::array();
      for (float one : logprobs) want_["logprobs"].push_back(rounded(one));
      return status;
    }
    if (name == "embed") {
      const std::string pooling = step.value("pooling", "");
      const ponder_pooling kind = pooling == "last" ? PONDER_POOLING_LAST : pooling == "mean" ? PONDER_POOLING_MEAN : 0;
      const std::uint32_t flags = step.value("normalize", false) ? PONDER_EMBED_NORMALIZE : 0;
      const auto hidden_size = static_cast<std::size_t>(info.hidden_size);
      std::vector<std::string> strings = step.value("texts", std::vector<std::string>());
      std::vector<ponder_text> texts;
      for (const std::string& text : strings) texts.push_back({text.data(), text.size()});
      std::vector<std::int32_t> all;
      std::vector<std::size_t> lengths;
      for (const Json& input : step.value("inputs", Json::array())) {
        lengths.push_back(input.size());
        for (const Json& id : input) all.push_back(id);
      }
      const std::size_t rows = texts.size() + lengths.size();
      std::vector<float> out(rows * hidden_size);
      std::size_t count = 0;
      const ponder_status status =
          lengths.empty() ? ponder_session_embed_texts(s, texts.data(), texts.size(), kind, flags, out.data(), out.size(), &count, &err_)
                          : ponder_session_embed_ids(s, all.data(), lengths.data(), lengths.size(), kind, flags, out.data(), out.size(), &count, &err_);
      if (status != PONDER_OK) return status;
      want_["hidden_size"] = hidden_size;
      want_["rows"] = Json::array();  // the first four numbers of each
      for (std::size_t i = 0; i < rows; ++i) {
        Json row = Json::array();
        for (std::size_t k = 0; k < 4; ++k) row.push_back(rounded(out[i * hidden_size + k]));
        want_["rows"].push_back(row);
      }
      return status;
    }
    if (name == "evaluate") {
      const auto list = step.at("ids").get<std::vector<std::int32_t>>();
      const auto next = step.value("mtp_next_ids", std::vector<std::int32_t>());
      const std::uint32_t flags = (step.value("last", false) ? PONDER_EVALUATE_LAST : 0) |
                                  (step.value("hidden", false) ? PONDER_EVALUATE_HIDDEN : 0) |
                                  (step.value("moe", false) ? PONDER_EVALUATE_MOE : 0);
      std::map<std::string, std::vector<std::int64_t>> shapes;
      const ponder_status status = ponder_session_evaluate(s, list.data(), list.size(), next.empty() ? nullptr : next.data(),
                                                           flags, on_tensor, &shapes, &err_);
      if (status == PONDER_OK) want_["shapes"] = shapes;
      return status;
    }
    return kUnknown;
  }

  ponder_status call_on_model(const std::string& name, const Json& step) {
    ponder_model* model = nullptr;
    ponder_buffer* buffer = nullptr;
    if (name == "copy") {
      const fs::path from = path_of(step, "from"), to = path_of(step, "to");
      fs::create_directories(to);
      for (const fs::directory_entry& entry : fs::directory_iterator(from))
        if (entry.is_regular_file()) fs::copy_file(entry.path(), to / entry.path().filename());
      fs::resize_file(to / step.at("file").get<std::string>(), step.at("bytes").get<std::uintmax_t>());
      return PONDER_OK;
    }
    if (name == "load" || name == "load_memory") {
      ponder_model_params params = ponder_model_params_default();
      const std::string weight_type = step.value("weight_type", "");
      params.weight_type = weight_type.empty() ? nullptr : weight_type.c_str();
      params.flags = step.value("mtp", true) ? 0 : PONDER_MODEL_NO_MTP;
      if (step.value("progress_stops", false)) params.progress = refuse;
      if (name == "load")
        return loaded(ponder_model_load(runtime_, path_of(step, "path").c_str(), &params, &model, &err_), model);
      std::vector<ponder_memory_file> files;
      for (const Json& file : step.at("files")) {
        const std::string key = file;
        contents_[key] = slurp(fs::path(path_of(step, "path")) / key);
        files.push_back({contents_.find(key)->first.c_str(), contents_[key].data(), contents_[key].size()});
      }
      return loaded(ponder_model_load_memory(runtime_, files.data(), files.size(), &params, &model, &err_), model);
    }
    if (name == "adapter") {
      ponder_adapter* adapter = nullptr;
      auto info = sized<ponder_adapter_info>();
      ponder_status status = ponder_adapter_load(runtime_, model_, path_of(step, "path").c_str(), &adapter, &err_);
      if (status == PONDER_OK) status = ponder_adapter_get_info(adapter, &info, &err_);
      if (status != PONDER_OK) return status;
      adapters_[step.at("as")] = adapter;
      want_["max_rank"] = info.max_rank;
      want_["n_weights"] = info.n_weights;
      want_["n_parameters"] = info.n_parameters;
      want_["fingerprint"] = std::to_string(info.fingerprint);
      return status;
    }
    if (name == "random") {
      const std::string config = slurp(path_of(step, "config")), dtype = step.at("dtype");
      return loaded(ponder_model_random(runtime_, config.data(), config.size(), dtype.c_str(), 0, step.at("seed"), &model, &err_),
                    model);
    }
    if (name == "plan") {
      const ponder_session_params params = session_params(step);
      auto plan = sized<ponder_memory_plan>();
      const ponder_status status = ponder_model_plan(model_, &params, &plan, &err_);
      if (status != PONDER_OK) return status;
      want_["context_length"] = plan.context_length;
      want_["weight_bytes"] = plan.weight_bytes;
      want_["kv_bytes"] = plan.kv_bytes;
      return status;
    }
    if (name == "generate_params") {
      auto p = sized<ponder_generate_params>();
      const ponder_status status = ponder_model_generate_params(model_, &p, &err_);
      if (status == PONDER_OK) tell_params(p);
      return status;
    }
    if (name == "eos_ids")
      return ids([&](std::int32_t* out, std::size_t capacity, std::size_t* count) {
        return ponder_model_eos_ids(model_, out, capacity, count, &err_);
      });
    if (name == "inspect") {
      const ponder_status status = ponder_inspect(path_of(step, "path").c_str(), nullptr, &buffer, &err_);
      if (status == PONDER_OK) want_["architecture"] = Json::parse(take(buffer)).at("architecture");
      return status;
    }
    if (name == "resolve") {
      const ponder_status status = ponder_model_resolve(path_of(step, "name").c_str(), &buffer, &err_);
      std::string found = status == PONDER_OK ? take(buffer) : "";
      replace_all(found, repository_, "$REPOSITORY");
      want_["path"] = found;
      return status;
    }
    if (name == "quantize") {
      ponder_quantize_params params = ponder_quantize_params_default();
      const std::string type = step.at("type");
      params.type = type.c_str();
      const ponder_status status = ponder_quantize(runtime_, path_of(step, "path").c_str(), path_of(step, "to").c_str(),
                                                   &params, &buffer, &err_);
      if (status == PONDER_OK) want_["n_tensors"] = Json::parse(take(buffer)).at("n_tensors");
      return status;
    }
    if (name == "imatrix") {
      ponder_imatrix_params params = ponder_imatrix_params_default();
      params.chunk_tokens = step.value("chunk_tokens", 0);
      const std::string text = step.at("text");
      const ponder_status status = ponder_imatrix(runtime_, model_, text.data(), text.size(), path_of(step, "to").c_str(),
                                                  &params, &buffer, &err_);
      if (status == PONDER_OK) want_["n_chunks"] = Json::parse(take(buffer)).at("n_chunks");
      return status;
    }
    if (name == "runtime") {
      ponder_runtime_params params = ponder_runtime_params_default();
      const std::string max_isa = step.value("max_isa", "");
      params.max_isa = max_isa.empty() ? nullptr : max_isa.c_str();
      params.n_threads = step.value("threads", 0);
      params.memory_limit = step.value("memory_limit", std::int64_t{0});
      ponder_runtime* runtime = nullptr;
      const ponder_status status = ponder_runtime_create(&params, &runtime, &err_);
      if (status != PONDER_OK) return status;
      auto memory = sized<ponder_memory_info>();
      ponder_runtime_memory(runtime, &memory, nullptr);
      want_["isa"] = ponder_runtime_isa(runtime);
      want_["threads"] = ponder_runtime_threads(runtime);
      want_["limit_bytes"] = memory.limit_bytes;
      ponder_runtime_free(runtime);
      return status;
    }
    return kUnknown;
  }

  ponder_status call_on_text(const std::string& name, const Json& step) {
    ponder_buffer* buffer = nullptr;
    if (name == "render" || name == "template_load") {
      ponder_template* made = nullptr;
      ponder_status status = name == "template_load" ? ponder_template_load(path_of(step, "path").c_str(), &made, &err_)
                             : step.contains("template")
                                 ? ponder_template_builtin(step.at("template").get<std::string>().c_str(), &made, &err_)
                                 : ponder_model_template(model_, &made, &err_);
      if (status == PONDER_OK && name == "render") {
        const std::string messages = step.at("messages").dump();
        const std::string kwargs = step.contains("kwargs") ? step.at("kwargs").dump() : "";
        status = ponder_template_render(made, messages.data(), messages.size(), kwargs.empty() ? nullptr : kwargs.data(), kwargs.size(),
                                        step.value("generation_prompt", true) ? 0 : PONDER_CHAT_NO_GENERATION_PROMPT,
                                        &buffer, &err_);
        if (status == PONDER_OK) want_["text"] = take(buffer);
      }
      ponder_template_free(made);
      return status;
    }
    if (name != "encode" && name != "decode" && name != "find" && name != "token" && name != "tokenizer_info" &&
        name != "tokenizer_load")
      return kUnknown;
    ponder_tokenizer* tokenizer = nullptr;
    ponder_status status = name == "tokenizer_load" ? ponder_tokenizer_load(path_of(step, "path").c_str(), &tokenizer, &err_)
                                                    : ponder_model_tokenizer(model_, &tokenizer, &err_);
    if (status == PONDER_OK) status = call_on_tokenizer(name, step, tokenizer);
    ponder_tokenizer_free(tokenizer);
    return status;
  }

  ponder_status call_on_tokenizer(const std::string& name, const Json& step, ponder_tokenizer* tokenizer) {
    const std::string text = step.value("text", "");
    ponder_status status = PONDER_OK;
    if (name == "tokenizer_info" || name == "tokenizer_load") {
      auto info = sized<ponder_tokenizer_info>();
      status = ponder_tokenizer_get_info(tokenizer, &info, &err_);
      want_["n_ids"] = info.n_ids;
      want_["bos_token_id"] = info.bos_token_id;
      want_["eos_token_id"] = info.eos_token_id;
      want_["think_start_id"] = info.think_start_id;
      want_["think_end_id"] = info.think_end_id;
      want_["adds_bos"] = info.adds_bos != 0;
    } else if (name == "encode") {
      const std::uint32_t flags = (step.value("special", false) ? PONDER_ENCODE_SPECIAL : 0) |
                                  (step.value("bos", false) ? PONDER_ENCODE_BOS : 0);
      status = ids([&](std::int32_t* out, std::size_t capacity, std::size_t* count) {
        return ponder_tokenizer_encode(tokenizer, text.data(), text.size(), flags, out, capacity, count, &err_);
      });
    } else if (name == "decode") {
      const auto list = step.at("ids").get<std::vector<std::int32_t>>();
      ponder_buffer* buffer = nullptr;
      status = ponder_tokenizer_decode(tokenizer, list.data(), list.size(),
                                       step.value("skip_special", false) ? PONDER_DECODE_SKIP_SPECIAL : 0, &buffer, &err_);
      if (status == PONDER_OK) want_["text"] = take(buffer);
    } else if (name == "find") {
      std::int32_t id = -1;
      status = ponder_tokenizer_find(tokenizer, text.data(), text.size(), &id, &err_);
      if (status == PONDER_OK) want_["id"] = id;
    } else {
      const char* bytes = nullptr;
      std::size_t size = 0;
      std::uint32_t flags = 0;
      status = ponder_tokenizer_token(tokenizer, step.at("id"), &bytes, &size, &flags, &err_);
      if (status == PONDER_OK) {
        want_["bytes"] = std::vector<std::uint8_t>(bytes, bytes + size);
        want_["flags"] = flags;
      }
    }
    return status;
  }

  static constexpr ponder_status kUnknown = 1000;
  std::string repository_, temporary_;
  ponder_runtime* runtime_ = nullptr;
  ponder_model* model_ = nullptr;
  std::map<std::string, ponder_session*> sessions_;
  std::map<std::string, ponder_adapter*> adapters_;
  std::string cache_;
  std::map<std::string, std::string> states_, contents_;
  ponder_error err_{};
  Json want_;
};

int compare(const Json& made, const Json& expected) {
  int result = made.size() == expected.size() ? 0 : 1;
  for (std::size_t i = 0; i < std::min(made.size(), expected.size()); ++i) {
    const Json &steps = made[i].at("steps"), &wanted = expected[i].at("steps");
    if (steps.size() != wanted.size()) result = 1;
    for (std::size_t k = 0; k < std::min(steps.size(), wanted.size()); ++k) {
      if (alike(steps[k], wanted[k])) continue;
      std::printf("%s, step %zu:\n  is     %s\n  wanted %s\n", made[i].at("name").dump().c_str(), k + 1, steps[k].dump().c_str(),
                  wanted[k].dump().c_str());
      result = 1;
    }
  }
  if (result) std::puts("conformance.json is not what the C ABI does. When that is right, make it anew: make_conformance cases.json REPOSITORY");
  return result;
}

int make(const char* cases, const std::string& repository, const char* expected) {
  const Json input = Json::parse(slurp(cases));
  const fs::path temporary = fs::temp_directory_path() / ("ponder-conformance-" + std::to_string(reinterpret_cast<std::uintptr_t>(&input)));
  std::string out = "[\n";
  for (const Json& one : input) {
    fs::remove_all(temporary);
    fs::create_directories(temporary);
    Case run(repository, temporary.string());
    out += (&one == &input.front() ? " {\"name\": " : ",\n {\"name\": ") + one.at("name").dump() + ", \"steps\": [";
    for (const Json& step : one.at("steps")) {
      Json done = step;
      done["want"] = run.run(step);
      out += (&step == &one.at("steps").front() ? "\n  " : ",\n  ") + done.dump();
    }
    out += "]}";
  }
  fs::remove_all(temporary);
  out += "\n]\n";
  if (!expected) return std::fwrite(out.data(), 1, out.size(), stdout) == out.size() ? 0 : 1;
  return compare(Json::parse(out), Json::parse(slurp(expected)));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) {
    std::fprintf(stderr, "usage: %s cases.json REPOSITORY [conformance.json]\n", argv[0]);
    return 2;
  }
  try {
    return make(argv[1], argv[2], argc == 4 ? argv[3] : nullptr);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[1], error.what());
    return 1;
  }
}
