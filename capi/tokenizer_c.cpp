// Tokenizers: of a model, or by themselves.
#include "capi/values.h"
#include "lib/base/format.h"
#include "lib/text/tokenizer_gguf.h"

namespace {

using namespace ponder;
using core::Code;
using core::Status;

// A GGUF file, or `name` and what lies beside it.
Status load(const core::FileSource& source, const std::string& name, ponder_tokenizer** out_tokenizer) {
  if (const std::string file = source.gguf_file(); !file.empty()) {
    PONDER_ASSIGN(const auto gguf, core::GgufCheckpoint::open(source, file));
    PONDER_ASSIGN(auto tokenizer, core::load_gguf_tokenizer(gguf.first()));
    *out_tokenizer = new ponder_tokenizer{std::move(tokenizer)};
    return {};
  }
  PONDER_ASSIGN(const core::FileView file, source.open(name));
  core::FileView config;
  if (source.exists("tokenizer_config.json")) {
    PONDER_ASSIGN(config, source.open("tokenizer_config.json"));
  }
  PONDER_ASSIGN(auto tokenizer, core::Tokenizer::load({file.text(), config.text()}));
  *out_tokenizer = new ponder_tokenizer{std::move(tokenizer)};
  return {};
}

constexpr const char* kTokenizerFile = "tokenizer.json";

}  // namespace

ponder_status PONDER_CALL ponder_tokenizer_load(const char* path, ponder_tokenizer** out_tokenizer,
                                                ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"out_tokenizer", out_tokenizer}}));
    *out_tokenizer = nullptr;
    PONDER_TRY(capi::need({{"path", path}}));
    std::filesystem::path folder = capi::to_path(path);
    const auto source = core::path_source(folder);
    if (!source->gguf_file().empty()) return load(*source, "", out_tokenizer);
    std::string name = kTokenizerFile;
    std::error_code ignored;
    if (std::filesystem::is_regular_file(folder, ignored)) {
      const std::u8string file = folder.filename().u8string();
      name.assign(file.begin(), file.end());
      folder = folder.parent_path();
    }
    return load(*core::folder_source(folder), name, out_tokenizer);
  });
}

ponder_status PONDER_CALL ponder_tokenizer_load_files(const ponder_file_system* files, const char* path,
                                                      ponder_tokenizer** out_tokenizer, ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"out_tokenizer", out_tokenizer}}));
    *out_tokenizer = nullptr;
    PONDER_TRY(capi::need({{"path", path}}));
    core::HostFiles host;
    PONDER_TRY(capi::host_files(files, host));
    std::string folder = path, name = kTokenizerFile;
    if (folder.ends_with(".json")) {
      const std::size_t slash = folder.rfind('/');
      name = folder.substr(slash == folder.npos ? 0 : slash + 1);
      folder.resize(slash == folder.npos ? 0 : slash);
    }
    PONDER_ASSIGN(const auto source, core::host_source(host, folder, {.in_parts = true}));
    return load(*source, name, out_tokenizer);
  });
}

ponder_status PONDER_CALL ponder_model_tokenizer(const ponder_model* model, ponder_tokenizer** out_tokenizer,
                                                 ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"out_tokenizer", out_tokenizer}}));
    *out_tokenizer = nullptr;
    PONDER_TRY(capi::need({{"model", model}}));
    if (!model->shared->tokenizer()) return core::Status(model->shared->tokenizer_status());
    *out_tokenizer = new ponder_tokenizer{model->shared->tokenizer()};
    return {};
  });
}

void PONDER_CALL ponder_tokenizer_free(ponder_tokenizer* tokenizer) noexcept { delete tokenizer; }

ponder_status PONDER_CALL ponder_tokenizer_get_info(const ponder_tokenizer* tokenizer, ponder_tokenizer_info* out_info,
                                                    ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"tokenizer", tokenizer}, {"out_info", out_info}}));
    PONDER_TRY(capi::check_out("ponder_tokenizer_info", out_info));
    const core::Tokenizer& t = *tokenizer->shared;
    ponder_tokenizer_info info{};
    info.n_ids = static_cast<int32_t>(t.n_ids());
    info.bos_token_id = t.bos().value_or(-1);
    info.eos_token_id = t.eos().value_or(-1);
    const auto added = [&](const char* text) {
      const std::optional<core::TokenId> id = t.find(text);
      return id && t.is_added(*id) ? *id : -1;
    };
    info.think_start_id = added("<think>");
    info.think_end_id = added("</think>");
    info.adds_bos = t.add_bos();
    info.has_chat_template = !t.chat_template().empty();
    capi::write_out(info, out_info);
    return {};
  });
}

ponder_status PONDER_CALL ponder_tokenizer_encode(const ponder_tokenizer* tokenizer, const char* text, size_t text_len,
                                                  uint32_t flags, int32_t* out_ids, size_t capacity, size_t* out_count,
                                                  ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"tokenizer", tokenizer}, {"out_count", out_count}}));
    PONDER_TRY(capi::need_array("text", text, text_len));
    PONDER_TRY(capi::check_flags("flags", flags, PONDER_ENCODE_SPECIAL | PONDER_ENCODE_BOS));
    const core::Tokenizer& t = *tokenizer->shared;
    PONDER_ASSIGN(std::vector<core::TokenId> ids,
                  t.encode({text ? text : "", text_len}, {(flags & PONDER_ENCODE_SPECIAL) != 0}));
    if (flags & PONDER_ENCODE_BOS) {
      if (!t.bos()) return Status(Code::not_found, "the tokenizer has no beginning-of-sentence token");
      ids.insert(ids.begin(), *t.bos());
    }
    return capi::write_list(ids, out_ids, capacity, out_count);
  });
}

ponder_status PONDER_CALL ponder_tokenizer_decode(const ponder_tokenizer* tokenizer, const int32_t* ids, size_t n_ids,
                                                  uint32_t flags, ponder_buffer** out_text, ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"out_text", out_text}}));
    *out_text = nullptr;
    PONDER_TRY(capi::need({{"tokenizer", tokenizer}}));
    PONDER_TRY(capi::need_array("ids", ids, n_ids));
    PONDER_TRY(capi::check_flags("flags", flags, PONDER_DECODE_SKIP_SPECIAL));
    PONDER_ASSIGN(std::string text,
                  tokenizer->shared->decode({ids, n_ids}, (flags & PONDER_DECODE_SKIP_SPECIAL) != 0));
    *out_text = capi::new_buffer(std::move(text));
    return {};
  });
}

ponder_status PONDER_CALL ponder_tokenizer_find(const ponder_tokenizer* tokenizer, const char* text, size_t text_len,
                                                int32_t* out_id, ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"tokenizer", tokenizer}, {"out_id", out_id}}));
    PONDER_TRY(capi::need_array("text", text, text_len));
    const std::optional<core::TokenId> id = tokenizer->shared->find({text ? text : "", text_len});
    if (!id) return core::fail(Code::not_found, "no token is '{}'", std::string_view(text ? text : "", text_len));
    *out_id = *id;
    return {};
  });
}

ponder_status PONDER_CALL ponder_tokenizer_token(const ponder_tokenizer* tokenizer, int32_t id, const char** out_bytes,
                                                 size_t* out_len, uint32_t* out_flags, ponder_error* err) noexcept {
  return capi::guarded(err, [&]() -> Status {
    PONDER_TRY(capi::need({{"tokenizer", tokenizer}, {"out_bytes", out_bytes}, {"out_len", out_len}}));
    const core::Tokenizer& t = *tokenizer->shared;
    if (!t.has_token(id)) return core::fail(Code::not_found, "id {} has no token, ids end at {}", id, t.n_ids());
    const std::string_view bytes = t.token_bytes(id);
    *out_bytes = bytes.data();
    *out_len = bytes.size();
    if (out_flags) *out_flags = (t.is_added(id) ? PONDER_TOKEN_ADDED : 0) | (t.is_special(id) ? PONDER_TOKEN_SPECIAL : 0);
    return {};
  });
}
