// Sessions: creation, settings and prompts. Decoding is in session_decode_c.cpp, the rest in session_state_c.cpp.
#include "capi/session_call.h"
#include "lib/base/format.h"

namespace {

using namespace ponder;
using core::Code;
using core::Session;
using core::Status;

// f(progress of a prompt), and what it returns when the host's function threw.
template <class F>
Status with_progress(ponder_prefill_fn function, void* user_data, F&& f) {
  core::HostAsked asked("progress");
  Session::Progress progress;
  if (function)
    progress = [&](std::size_t done, std::size_t total) {
      return asked.go_on([&] { return function(user_data, done, total); });
    };
  return asked.status(f(progress));
}

constexpr std::uint32_t kChatFlags = PONDER_CHAT_NO_GENERATION_PROMPT | PONDER_CHAT_TRUST_CONTENT;

Session::ChatOptions chat_options(capi::Conversation& chat, std::uint32_t flags) {
  return {chat.add_generation_prompt, (flags & PONDER_CHAT_TRUST_CONTENT) != 0, std::move(chat.kwargs)};
}

}  // namespace

ponder_status PONDER_CALL ponder_session_create(ponder_runtime* runtime, ponder_model* model,
                                                const ponder_session_params* params, ponder_session** out_session,
                                                ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"out_session", out_session}}));
    *out_session = nullptr;
    PONDER_TRY(capi::need({{"runtime", runtime}, {"model", model}}));
    core::SessionParams p;
    PONDER_TRY(capi::to_core(params, p));
    auto handle = capi::new_session(runtime->shared);
    PONDER_ASSIGN(handle->session, Session::create(runtime->shared, model->shared, p));
    const core::Log& log = runtime->shared->log;
    if (log.wants(core::LogLevel::debug)) {
      const core::SessionStats stats = handle->session->stats();
      log.write(core::LogLevel::debug, core::formatted("session: {} tokens of context, {} bytes of cache, {} bytes of scratch",
                                                   handle->session->context_length(), stats.kv_bytes, stats.scratch_bytes));
    }
    *out_session = capi::publish(std::move(handle));
    return {};
  });
}

void PONDER_CALL ponder_session_free(ponder_session* session) noexcept {
  if (session) const std::shared_ptr<ponder_session> last = std::move(session->self);
}

ponder_status PONDER_CALL ponder_session_set_params(ponder_session* session, const ponder_generate_params* params,
                                                    ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    core::GenerateParams p;
    PONDER_TRY(capi::to_core(params, p));
    p.reasoning = s.generate_params().reasoning;
    return s.set_generate_params(p);
  });
}

ponder_status PONDER_CALL ponder_session_set_reasoning(ponder_session* session, const ponder_reasoning_params* params,
                                                       ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    core::GenerateParams p = s.generate_params();
    PONDER_TRY(capi::to_core(params, p.reasoning));
    return s.set_generate_params(p);
  });
}

ponder_status PONDER_CALL ponder_session_set_grammar(ponder_session* session, ponder_grammar kind, const char* text,
                                                     size_t text_len, ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    if (kind == PONDER_GRAMMAR_NONE) {
      s.set_grammar(std::nullopt);
      return {};
    }
    if (kind < PONDER_GRAMMAR_GBNF || kind > PONDER_GRAMMAR_JSON_SCHEMA)
      return core::fail(Code::invalid_argument, "kind: {}, want a PONDER_GRAMMAR_ value", kind);
    PONDER_TRY(capi::need_array("text", text, text_len));
    const core::GrammarKind kinds[] = {core::GrammarKind::gbnf, core::GrammarKind::regex, core::GrammarKind::json_schema};
    return s.set_grammar(kinds[kind - PONDER_GRAMMAR_GBNF], {text ? text : "", text_len});
  });
}

ponder_status PONDER_CALL ponder_session_get_params(ponder_session* session, ponder_generate_params* out_params,
                                                    ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    PONDER_TRY(capi::need({{"out_params", out_params}}));
    PONDER_TRY(capi::check_out("ponder_generate_params", out_params));
    capi::write_out(capi::to_c(s.generate_params(), session), out_params);
    return {};
  });
}

ponder_status PONDER_CALL ponder_session_prompt_chat(ponder_session* session, const char* messages_json,
                                                     size_t messages_json_len, const char* kwargs_json,
                                                     size_t kwargs_json_len, uint32_t flags, ponder_prefill_fn progress,
                                                     void* user_data, ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    PONDER_TRY(capi::check_flags("flags", flags, kChatFlags));
    capi::Conversation chat;
    PONDER_TRY(capi::read_conversation(messages_json, messages_json_len, kwargs_json, kwargs_json_len, flags, chat));
    const Session::ChatOptions options = chat_options(chat, flags);
    return with_progress(progress, user_data, [&](const Session::Progress& report) {
      return s.prompt_chat(chat.messages, chat.tools, options, report);
    });
  });
}

ponder_status PONDER_CALL ponder_session_prompt(ponder_session* session, const char* user_text, size_t user_text_len,
                                                ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    PONDER_TRY(capi::need_array("user_text", user_text, user_text_len));
    const std::string_view text(user_text ? user_text : "", user_text_len);
    const core::Json::Object message{{"role", "user"}, {"content", text}};
    return s.prompt_chat(core::Json::Array{message}, {}, {});
  });
}

ponder_status PONDER_CALL ponder_session_prompt_text(ponder_session* session, const char* text, size_t text_len,
                                                     uint32_t flags, ponder_prefill_fn progress, void* user_data,
                                                     ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    PONDER_TRY(capi::need_array("text", text, text_len));
    PONDER_TRY(capi::check_flags("flags", flags, PONDER_ENCODE_SPECIAL));
    return with_progress(progress, user_data, [&](const Session::Progress& report) {
      return s.prompt_text({text ? text : "", text_len}, (flags & PONDER_ENCODE_SPECIAL) != 0, report);
    });
  });
}

ponder_status PONDER_CALL ponder_session_prompt_ids(ponder_session* session, const int32_t* ids, size_t n_ids,
                                                    ponder_prefill_fn progress, void* user_data,
                                                    ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    PONDER_TRY(capi::need_array("ids", ids, n_ids));
    return with_progress(progress, user_data,
                         [&](const Session::Progress& report) { return s.prompt_ids({ids, n_ids}, report); });
  });
}

ponder_status PONDER_CALL ponder_session_append_ids(ponder_session* session, const int32_t* ids, size_t n_ids,
                                                    ponder_prefill_fn progress, void* user_data,
                                                    ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    PONDER_TRY(capi::need_array("ids", ids, n_ids));
    return with_progress(progress, user_data,
                         [&](const Session::Progress& report) { return s.append_ids({ids, n_ids}, report); });
  });
}

ponder_status PONDER_CALL ponder_session_chat_ids(const ponder_session* session, const char* messages_json,
                                                  size_t messages_json_len, const char* kwargs_json,
                                                  size_t kwargs_json_len, uint32_t flags, int32_t* out_ids,
                                                  size_t capacity, size_t* out_count, ponder_error* err) noexcept {
  return capi::on_session(session, err, [&](Session& s) -> Status {
    PONDER_TRY(capi::need({{"out_count", out_count}}));
    PONDER_TRY(capi::check_flags("flags", flags, kChatFlags));
    capi::Conversation chat;
    PONDER_TRY(capi::read_conversation(messages_json, messages_json_len, kwargs_json, kwargs_json_len, flags, chat));
    PONDER_ASSIGN(const std::vector<core::TokenId> ids,
                  s.render_chat_ids(chat.messages, chat.tools, chat_options(chat, flags)));
    return capi::write_list(ids, out_ids, capacity, out_count);
  });
}
