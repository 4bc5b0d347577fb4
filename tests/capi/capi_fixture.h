// What the tests of the C ABI share: handles that free themselves, and the default model.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ponder/ponder.h"

namespace capi_test {

template <class T, void (*Free)(T*)>
struct Deleter {
  void operator()(T* handle) const { Free(handle); }
};
using Runtime = std::unique_ptr<ponder_runtime, Deleter<ponder_runtime, ponder_runtime_free>>;
using Model = std::unique_ptr<ponder_model, Deleter<ponder_model, ponder_model_free>>;
using Tokenizer = std::unique_ptr<ponder_tokenizer, Deleter<ponder_tokenizer, ponder_tokenizer_free>>;
using Template = std::unique_ptr<ponder_template, Deleter<ponder_template, ponder_template_free>>;
using Session = std::unique_ptr<ponder_session, Deleter<ponder_session, ponder_session_free>>;
using Buffer = std::unique_ptr<ponder_buffer, Deleter<ponder_buffer, ponder_buffer_free>>;

inline const std::string kTiny = PONDER_MODELS "/ponder-tiny-r1";

// The message contains every one of `parts`, and the code is `code` in both places.
inline void check_error(ponder_status status, const ponder_error& err, ponder_status code,
                        std::initializer_list<std::string_view> parts = {}) {
  CHECK_MESSAGE(status == code, err.message);
  CHECK(err.code == code);
  for (std::string_view part : parts)
    CHECK_MESSAGE(std::string_view(err.message).find(part) != std::string_view::npos, part << " in: " << err.message);
}

inline Runtime make_runtime(int n_threads = 2, const char* max_isa = nullptr) {
  ponder_runtime_params params = ponder_runtime_params_default();
  params.n_threads = n_threads;
  params.max_isa = max_isa;
  ponder_runtime* runtime = nullptr;
  ponder_error err;
  REQUIRE_MESSAGE(ponder_runtime_create(&params, &runtime, &err) == PONDER_OK, err.message);
  return Runtime(runtime);
}

inline Model load_model(ponder_runtime* runtime, const std::string& path = kTiny) {
  ponder_model* model = nullptr;
  ponder_error err;
  REQUIRE_MESSAGE(ponder_model_load(runtime, path.c_str(), nullptr, &model, &err) == PONDER_OK, err.message);
  return Model(model);
}

// A runtime and the default model, and sessions of them.
struct Tiny {
  Runtime runtime = make_runtime();
  Model model = load_model(runtime.get());

  Session session(ponder_session_params params = ponder_session_params_default()) const {
    ponder_session* session = nullptr;
    ponder_error err;
    REQUIRE_MESSAGE(ponder_session_create(runtime.get(), model.get(), &params, &session, &err) == PONDER_OK, err.message);
    return Session(session);
  }
};

// The files of a folder, to be loaded from memory.
struct Files {
  std::vector<std::pair<std::string, std::string>> contents;
  explicit Files(const std::string& folder) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      std::ifstream in(entry.path(), std::ios::binary);
      contents.emplace_back(entry.path().filename().string(),
                            std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()));
    }
  }
  void erase(const std::string& name) {
    std::erase_if(contents, [&](const auto& file) { return file.first == name; });
  }
  std::vector<ponder_memory_file> list() const {
    std::vector<ponder_memory_file> list;
    for (const auto& [name, bytes] : contents) list.push_back({name.c_str(), bytes.data(), bytes.size()});
    return list;
  }
};

inline ponder_status load_memory(ponder_runtime* runtime, const std::vector<ponder_memory_file>& files, Model& out, ponder_error& err) {
  ponder_model* model = nullptr;
  const ponder_status status = ponder_model_load_memory(runtime, files.data(), files.size(), nullptr, &model, &err);
  out.reset(model);
  return status;
}

// The default model with the built-in R1 format in place of its own template.
struct ChatTiny {
  Runtime runtime = make_runtime();
  Files files{kTiny};
  Model model;
  ChatTiny() {
    for (auto& [name, bytes] : files.contents)
      if (name == "tokenizer_config.json")
        bytes = R"({"bos_token": "<｜begin▁of▁sentence｜>", "eos_token": "<｜end▁of▁sentence｜>", "add_bos_token": true})";
    ponder_error err;
    REQUIRE_MESSAGE(load_memory(runtime.get(), files.list(), model, err) == PONDER_OK, err.message);
  }
  Session session() const {
    ponder_session* session = nullptr;
    ponder_error err;
    REQUIRE_MESSAGE(ponder_session_create(runtime.get(), model.get(), nullptr, &session, &err) == PONDER_OK, err.message);
    return Session(session);
  }
};

// "What is 347+85?" in R1's format: BOS, User, text, Assistant, <think>, newline; greedy.golden.json has the same.
inline std::vector<std::int32_t> question_ids(std::string_view text = "What is 347+85?") {
  std::vector<std::int32_t> ids{256, 258};
  for (unsigned char c : text) ids.push_back(c);
  ids.insert(ids.end(), {259, 260, 10});
  return ids;
}

inline void prompt(ponder_session* session, const std::vector<std::int32_t>& ids = question_ids()) {
  ponder_error err;
  REQUIRE_MESSAGE(ponder_session_prompt_ids(session, ids.data(), ids.size(), nullptr, nullptr, &err) == PONDER_OK,
                  err.message);
}

struct Reply {
  std::string thinking, answer;
  std::vector<std::int32_t> ids;
  int n_forced = 0;
  ponder_status status = PONDER_OK;  // of the call that ended it
  ponder_error err;
};

inline Reply generate(ponder_session* session) {
  Reply reply;
  ponder_token_event event{};
  event.struct_size = sizeof event;
  while ((reply.status = ponder_session_next(session, &event, &reply.err)) == PONDER_OK) {
    (event.channel == PONDER_CHANNEL_THINKING ? reply.thinking : reply.answer).append(event.text, event.text_len);
    reply.ids.push_back(event.id);
    reply.n_forced += event.forced;
  }
  return reply;
}

inline void set_params(ponder_session* session, const ponder_generate_params& params) {
  ponder_error err;
  REQUIRE_MESSAGE(ponder_session_set_params(session, &params, &err) == PONDER_OK, err.message);
}

inline std::string text_of(ponder_buffer* buffer) {
  const Buffer owner(buffer);
  REQUIRE(buffer != nullptr);
  return {static_cast<const char*>(ponder_buffer_data(buffer)), ponder_buffer_size(buffer)};
}

}  // namespace capi_test
