#include "examples/chat_window/conversation.h"

#include <cstdio>
#include <utility>

namespace {

// Text as a JSON string.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\', out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(c));
      out += code;
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace

Conversation::Conversation(std::string model_path, std::optional<ponder_generate_params> params)
    : worker_([this, path = std::move(model_path), params] { work(path, params); }) {}

Conversation::~Conversation() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  stop();
  wake_.notify_one();
  worker_.join();
}

void Conversation::ask(std::string question) {
  {
    const std::lock_guard lock(mutex_);
    if (news_.state != State::ready) return;
    news_.state = State::busy;
    news_.finish = PONDER_FINISH_NONE;
    question_ = std::move(question);
    stopped_ = false;
  }
  wake_.notify_one();
}

void Conversation::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;                              // looked at between two tokens and two chunks of the prompt
  if (session_) ponder_session_cancel(session_);  // and the step that runs ends at its next layer
}

Conversation::News Conversation::take() {
  const std::lock_guard lock(mutex_);
  News news = news_;
  news_.thinking.clear(), news_.answer.clear(), news_.problem.clear();
  return news;
}

void Conversation::work(const std::string& model_path, const std::optional<ponder_generate_params>& params) {
  const auto fail = [&](const ponder::Error& error) {
    const std::lock_guard lock(mutex_);
    news_.state = State::failed, news_.problem = error.message();
  };
  auto model = ponder::Model::load(model_path, {.progress = [&](float fraction) {
    const std::lock_guard lock(mutex_);
    news_.loaded = fraction;
    return !closing_;
  }});
  if (!model) return fail(model.error());
  auto session = model->session();
  if (!session) return fail(session.error());
  ponder::GenerateOptions options = model->generate_options();
  if (params) options.params = *params;
  if (const auto done = session->set_options(options); !done) return fail(done.error());

  for (;;) {
    std::string question;
    {
      std::unique_lock lock(mutex_);
      session_ = session->get();
      if (news_.state == State::loading) news_.state = State::ready;
      wake_.wait(lock, [this] { return closing_ || news_.state == State::busy; });
      if (closing_) {
        session_ = nullptr;
        return;
      }
      question = std::exchange(question_, {});
    }
    reply_to(*session, question);
    const std::lock_guard lock(mutex_);
    news_.state = State::ready;
  }
}

void Conversation::reply_to(ponder::Session& session, const std::string& question) {
  messages_.push_back({"user", question});
  std::string json = "[";
  for (const Message& message : messages_)
    json += std::string(json.size() > 1 ? "," : "") + "{\"role\":\"" + message.role + "\",\"content\":" + quoted(message.content) + "}";
  json += "]";

  ponder::Reply reply;
  // What earlier questions computed is reused: only the new message is read.
  if (const auto done = session.prompt_chat(json, {}, 0, [&](std::size_t, std::size_t) { return !stopped_; }); !done) {
    reply.finish = done.error().code() == PONDER_E_CANCELLED ? PONDER_FINISH_CANCELLED : PONDER_FINISH_ERROR;
    reply.error = done.error();
  } else {
    reply = session.generate([&](const ponder::Token& token) {
      const std::lock_guard lock(mutex_);
      (token.channel == ponder::Channel::thinking ? news_.thinking : news_.answer).append(token.text);
      return !stopped_;
    });
  }
  // The template drops thinking of earlier turns; a question without an answer is taken back.
  if (reply.answer.empty())
    messages_.pop_back();
  else
    messages_.push_back({"assistant", reply.answer});
  const std::lock_guard lock(mutex_);
  news_.finish = reply.finish;
  if (reply.finish == PONDER_FINISH_ERROR) news_.problem = reply.error->message();
}
