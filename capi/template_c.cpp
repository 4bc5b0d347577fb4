// Chat templates: of a folder, built in, or of a model.
#include "capi/values.h"
#include "lib/base/format.h"
#include "lib/text/tokenizer_gguf.h"

namespace {

using namespace ponder;
using core::Code;
using core::Status;

Status load(const core::FileSource& source, ponder_template** out_template) {
  core::TokenizerConfig config;
  if (const std::string file = source.gguf_file(); !file.empty()) {
    PONDER_ASSIGN(const auto gguf, core::GgufCheckpoint::open(source, file));
    PONDER_ASSIGN(config, core::read_gguf_tokenizer_config(gguf.first()));
    PONDER_ASSIGN(auto own, core::ChatTemplate::load(gguf.first()));
    *out_template = new ponder_template{std::move(own), config.bos_text, config.eos_text};
    return {};
  }
  if (source.exists("tokenizer_config.json")) {
    PONDER_ASSIGN(const core::FileView file, source.open("tokenizer_config.json"));
    PONDER_ASSIGN(config, core::TokenizerConfig::parse(file.text()));
  }
  PONDER_ASSIGN(auto shared, core::ChatTemplate::load(source));
  *out_template = new ponder_template{std::move(shared), config.bos_text, config.eos_text};
  return {};
}

}  // namespace

ponder_status PONDER_CALL ponder_template_load(const char* path, ponder_template** out_template,
                                               ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"out_template", out_template}}));
    *out_template = nullptr;
    PONDER_TRY(capi::need({{"path", path}}));
    return load(*core::path_source(capi::to_path(path)), out_template);
  });
}

ponder_status PONDER_CALL ponder_template_load_files(const ponder_file_system* files, const char* path,
                                                     ponder_template** out_template, ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"out_template", out_template}}));
    *out_template = nullptr;
    PONDER_TRY(capi::need({{"path", path}}));
    core::HostFiles host;
    PONDER_TRY(capi::host_files(files, host));
    PONDER_ASSIGN(const auto source, core::host_source(host, path, {.in_parts = true}));
    return load(*source, out_template);
  });
}

ponder_status PONDER_CALL ponder_template_builtin(const char* name, ponder_template** out_template,
                                                  ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"out_template", out_template}}));
    *out_template = nullptr;
    PONDER_TRY(capi::need({{"name", name}}));
    PONDER_ASSIGN(auto shared, core::ChatTemplate::builtin(name));
    *out_template = new ponder_template{std::move(shared), "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"};
    return {};
  });
}

ponder_status PONDER_CALL ponder_model_template(const ponder_model* model, ponder_template** out_template,
                                                ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"out_template", out_template}}));
    *out_template = nullptr;
    PONDER_TRY(capi::need({{"model", model}}));
    const core::Model& m = *model->shared;
    if (!m.chat_template()) return m.tokenizer() ? core::Status(m.chat_template_status()) : core::Status(m.tokenizer_status());
    *out_template = new ponder_template{m.chat_template(), m.tokenizer()->bos_text(), m.tokenizer()->eos_text()};
    return {};
  });
}

void PONDER_CALL ponder_template_free(ponder_template* chat_template) noexcept { delete chat_template; }

ponder_status PONDER_CALL ponder_template_render(const ponder_template* chat_template, const char* messages_json,
                                                 size_t messages_json_len, const char* kwargs_json,
                                                 size_t kwargs_json_len, uint32_t flags, ponder_buffer** out_text,
                                                 ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"out_text", out_text}}));
    *out_text = nullptr;
    PONDER_TRY(capi::need({{"chat_template", chat_template}}));
    PONDER_TRY(capi::check_flags("flags", flags, PONDER_CHAT_NO_GENERATION_PROMPT));
    capi::Conversation chat;
    PONDER_TRY(capi::read_conversation(messages_json, messages_json_len, kwargs_json, kwargs_json_len, flags, chat));
    core::ChatInput input;
    input.messages = std::move(chat.messages);
    input.tools = std::move(chat.tools);
    input.kwargs = std::move(chat.kwargs);
    input.add_generation_prompt = chat.add_generation_prompt;
    input.bos_token = chat_template->bos_text;
    input.eos_token = chat_template->eos_text;
    PONDER_ASSIGN(core::RenderedChat rendered, chat_template->shared->render(input));
    *out_text = capi::new_buffer(std::move(rendered.text));
    return {};
  });
}
