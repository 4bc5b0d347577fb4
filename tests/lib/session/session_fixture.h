// What the session tests share: the default model (tokenizer, think tokens, R1 template) and a runtime.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "lib/session/session.h"

namespace ponder::core {

inline std::shared_ptr<const Runtime> test_runtime(int n_threads = 2) {
  auto runtime = std::make_shared<Runtime>();
  runtime->kernels = kernels::make_table(kernels::highest_isa());
  runtime->pool = std::shared_ptr<ThreadPool>(ThreadPool::create(n_threads).value());
  return runtime;
}

inline std::shared_ptr<const Model> tiny_r1() {
  static const std::shared_ptr<const Model> model = [] {
    auto loaded = Model::load(folder_source(std::string(PONDER_MODELS) + "/ponder-tiny-r1"), {});
    REQUIRE_MESSAGE(loaded.ok(), loaded.status().message());
    return *loaded;
  }();
  return model;
}

inline std::unique_ptr<Session> test_session(const SessionParams& params = {}, int n_threads = 2) {
  auto session = Session::create(test_runtime(n_threads), tiny_r1(), params);
  REQUIRE_MESSAGE(session.ok(), session.status().message());
  return std::move(session).value();
}

inline Json user_message(std::string_view text) {
  Json message;
  message.set("role", "user");
  message.set("content", text);
  return Json(Json::Array{message});
}

// The prompt of one user message in R1's built-in format, which is what the model's own template gives too.
inline std::vector<TokenId> chat_ids(std::string_view text, bool trust_content = false) {
  const Tokenizer& tokenizer = *tiny_r1()->tokenizer();
  ChatInput input;
  input.messages = user_message(text);
  input.bos_token = tokenizer.bos_text();
  input.eos_token = tokenizer.eos_text();
  const auto chat = ChatTemplate::builtin("deepseek-r1").value()->render(input);
  REQUIRE_MESSAGE(chat.ok(), chat.status().message());
  const auto ids = trust_content ? tokenizer.encode(chat->text, {true})
                                 : tokenizer.encode_with_content(chat->text, chat->content);
  REQUIRE_MESSAGE(ids.ok(), ids.status().message());
  return *ids;
}

inline void ask(Session& session, std::string_view text) {
  const Status status = session.prompt_ids(chat_ids(text));
  REQUIRE_MESSAGE(status.ok(), status.message());
}

struct Reply {
  std::string thinking, answer;
  std::vector<TokenId> ids;
  std::vector<TokenEvent> events;  // their text is gone
  Status status;
};

// next() until it is not OK, at most `limit` tokens.
inline Reply read_reply(Session& session, std::size_t limit = 1000) {
  Reply reply;
  for (std::size_t i = 0; i < limit; ++i) {
    TokenEvent event;
    reply.status = session.next(event);
    if (!reply.status.ok()) break;
    (event.channel == Channel::thinking ? reply.thinking : reply.answer) += event.text;
    reply.ids.push_back(event.id);
    event.text = {};
    reply.events.push_back(event);
  }
  return reply;
}

}  // namespace ponder::core
