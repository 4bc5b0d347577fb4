// ponder behind an editor: JSON-RPC 2.0 over standard input and output, framed as LSP does. This thread reads and answers
// at once; a worker computes, one request after the other; any request can be cancelled, waiting or running.
// usage: editor_helper MODEL_FOLDER
//
//   initialize {}                                          -> {name, version, methods}; first of all requests
//   complete   {prefix, max_tokens?, stop?, stream?}       -> {text, finish}: what follows the text before the cursor
//   explain    {text, instruction?, max_tokens?, stream?}  -> {text, thinking, finish}
//   cancel     {id}                                        that request fails with -32800; as notification or request
//   shutdown                                               -> null; what waits or runs is cancelled. Then exit, a notification
// With "stream": true, notifications come before the response: progress {id, channel: "answer" or "thinking", text}.
// Batches are refused, as in LSP. A message that is none is answered with an error, and reading goes on.
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "examples/editor_helper/message_stream.h"
#include "ponder/ponder.hpp"

namespace {

using nlohmann::json;

// Codes of JSON-RPC 2.0, and two of LSP.
constexpr int kParseError = -32700, kInvalidRequest = -32600, kMethodNotFound = -32601, kInvalidParams = -32602,
              kInternalError = -32603, kNotInitialized = -32002, kRequestCancelled = -32800;
constexpr int kMaxWaiting = 64;  // requests
constexpr int kMaxDepth = 32;    // of JSON

struct RpcError {
  int code;
  std::string message;
};

struct Job {
  json id;
  std::string method;
  json params;
  std::atomic<bool> cancelled{false};
};

template <class T>
T param(const json& params, const char* name, T otherwise) {
  const auto found = params.find(name);
  if (found == params.end()) return otherwise;
  try {
    return found->get<T>();
  } catch (const json::exception&) {
    throw RpcError{kInvalidParams, std::string(name) + ": of the wrong type"};
  }
}
std::string needed_text(const json& params, const char* name) {
  if (!params.contains(name)) throw RpcError{kInvalidParams, std::string(name) + " is missing"};
  return param<std::string>(params, name, {});
}

const char* finish_name(ponder_finish finish) { return finish == PONDER_FINISH_STOP ? "stop" : "length"; }

class Helper {
 public:
  Helper(ponder::Model model, ponder::Session session)
      : model_(std::move(model)), session_(std::move(session)), worker_([this] { work(); }) {}
  ~Helper() {
    cancel_all();
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    wake_.notify_one();
    worker_.join();
  }

  // The exit code.
  int run() {
    while (const auto message = stream_.read()) {
      if (!message->problem.empty()) {
        respond_error(nullptr, {kParseError, message->problem});
        continue;
      }
      bool too_deep = false;  // and not kept: copying a tree takes stack
      const json request = json::parse(message->text, [&](int depth, json::parse_event_t, json&) {
        too_deep = too_deep || depth > kMaxDepth;
        return !too_deep;
      }, false);
      if (too_deep || request.is_discarded()) {
        respond_error(nullptr, too_deep ? RpcError{kInvalidRequest, "nested too deeply"} : RpcError{kParseError, "not JSON"});
        continue;
      }
      if (!receive(request)) return shut_down_ ? 0 : 1;
    }
    return shut_down_ ? 0 : 1;  // the editor is gone
  }

 private:
  // False: exit.
  bool receive(const json& request) {
    const bool valid = request.is_object() && request.value("jsonrpc", json()) == "2.0" && request.contains("method") &&
                       request["method"].is_string();
    const bool has_id = request.is_object() && request.contains("id");
    const json id = has_id ? request["id"] : json();
    if (!valid || (has_id && !id.is_string() && !id.is_number())) {
      respond_error(id.is_string() || id.is_number() ? id : json(), {kInvalidRequest, "not a request of JSON-RPC 2.0"});
      return true;
    }
    if (request["method"] == "exit" && !has_id) return false;
    try {
      const json params = request.value("params", json::object());
      if (!params.is_object()) throw RpcError{kInvalidParams, "params: want an object"};
      dispatch(has_id ? &id : nullptr, request["method"], params);
    } catch (const RpcError& error) {
      if (has_id) respond_error(id, error);  // a notification has no answer
    }
    return true;
  }

  void dispatch(const json* id, const std::string& method, const json& params) {
    if (method == "initialize") {
      initialized_ = true;
      if (id)
        respond(*id, {{"name", "ponder editor helper"},
                      {"version", ponder_version()},
                      {"methods", {"complete", "explain", "cancel", "shutdown"}}});
    } else if (!initialized_) {
      throw RpcError{kNotInitialized, "initialize comes first"};
    } else if (shut_down_) {
      throw RpcError{kInvalidRequest, "after shutdown"};
    } else if (method == "complete" || method == "explain") {
      needed_text(params, method == "complete" ? "prefix" : "text");  // what can be said at once is said at once
      if (id) enqueue(*id, method, params);
    } else if (method == "cancel" || method == "$/cancelRequest") {
      if (!params.contains("id")) throw RpcError{kInvalidParams, "id is missing"};
      const bool found = cancel(params["id"]);
      if (id) respond(*id, found);
    } else if (method == "shutdown") {
      shut_down_ = true;
      cancel_all();
      if (id) respond(*id, nullptr);
    } else {
      throw RpcError{kMethodNotFound, method + ": unknown"};
    }
  }

  void enqueue(const json& id, const std::string& method, const json& params) {
    {
      const std::lock_guard lock(mutex_);
      for (const auto& job : jobs_)
        if (job->id == id) throw RpcError{kInvalidRequest, "this id is in use"};
      if (jobs_.size() >= kMaxWaiting) throw RpcError{kInternalError, "too many requests are waiting"};
      auto job = std::make_shared<Job>();
      job->id = id, job->method = method, job->params = params;
      jobs_.push_back(std::move(job));
    }
    wake_.notify_one();
  }

  // Marks it, and stops it within a layer's time if it runs; the worker answers.
  bool cancel(const json& id) {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      if (jobs_[i]->id != id) continue;
      jobs_[i]->cancelled = true;
      if (i == 0) session_.cancel();
      return true;
    }
    return false;
  }
  void cancel_all() {
    const std::lock_guard lock(mutex_);
    for (const auto& job : jobs_) job->cancelled = true;
    session_.cancel();
  }

  // The worker: the front of the queue is what runs.
  void work() {
    for (;;) {
      std::shared_ptr<Job> job;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return closing_ || !jobs_.empty(); });
        if (jobs_.empty()) return;
        job = jobs_.front();
      }
      json result;
      RpcError error{0, {}};
      try {
        result = compute(*job);
      } catch (const RpcError& e) {
        error = e;
      } catch (const std::exception& e) {
        error = {kInternalError, e.what()};
      }
      {
        const std::lock_guard lock(mutex_);  // from here on its id is free
        jobs_.pop_front();
      }
      error.code == 0 ? respond(job->id, result) : respond_error(job->id, error);
    }
  }

  json compute(Job& job) {
    const auto check = [&](const ponder::Error* error) {
      if (job.cancelled) throw RpcError{kRequestCancelled, "cancelled"};
      if (error) throw RpcError{error->code() == PONDER_E_INVALID_ARGUMENT ? kInvalidParams : kInternalError, error->message()};
    };
    check(nullptr);
    const bool explains = job.method == "explain";
    ponder::GenerateOptions options = model_.generate_options();
    options.params.max_new_tokens = param<std::int64_t>(job.params, "max_tokens", explains ? 1024 : 64);
    options.stop = param<std::vector<std::string>>(job.params, "stop", {});
    const bool streams = param(job.params, "stream", false);
    if (const auto done = session_.set_options(options); !done) check(&done.error());

    // A prompt ends an earlier cancel, also one that came in between: `cancelled` is looked at again in both callbacks.
    const auto goes_on = [&](std::size_t, std::size_t) { return !job.cancelled; };
    const auto prompted = [&] {
      if (!explains) return session_.prompt_text(needed_text(job.params, "prefix"), 0, goes_on);
      const std::string instruction = param<std::string>(job.params, "instruction", "Explain this code briefly.");
      const std::string text = needed_text(job.params, "text");
      const json messages = json::array({{{"role", "user"}, {"content", text.empty() ? instruction : instruction + "\n\n" + text}}});
      return session_.prompt_chat(messages.dump(), {}, 0, goes_on);
    }();
    check(prompted ? nullptr : &prompted.error());
    const ponder::Reply reply = session_.generate([&](const ponder::Token& token) {
      if (streams && !token.text.empty())
        send({{"jsonrpc", "2.0"},
              {"method", "progress"},
              {"params",
               {{"id", job.id},
                {"channel", token.channel == ponder::Channel::thinking ? "thinking" : "answer"},
                {"text", token.text}}}});
      return !job.cancelled;
    });
    check(reply.error ? &*reply.error : nullptr);
    json result = {{"text", reply.answer}, {"finish", finish_name(reply.finish)}};
    if (explains) result["thinking"] = reply.thinking;
    return result;
  }

  void respond(const json& id, const json& result) { send({{"jsonrpc", "2.0"}, {"id", id}, {"result", result}}); }
  void respond_error(const json& id, const RpcError& error) {
    send({{"jsonrpc", "2.0"}, {"id", id}, {"error", {{"code", error.code}, {"message", error.message}}}});
  }
  void send(const json& message) { stream_.write(message.dump(-1, ' ', false, json::error_handler_t::replace)); }

  ponder::Model model_;
  ponder::Session session_;  // the worker's; cancel() is any thread's
  editor::MessageStream stream_{stdin, stdout};
  bool initialized_ = false, shut_down_ = false;  // the reader's
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Job>> jobs_;  // the front one is running
  bool closing_ = false;
  std::thread worker_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s MODEL_FOLDER\n", argv[0]);
    return 2;
  }
  auto model = ponder::Model::load(argv[1]);
  if (!model) return std::fprintf(stderr, "%s\n", model.error().what()), 1;
  auto session = model->session();
  if (!session) return std::fprintf(stderr, "%s\n", session.error().what()), 1;
  return Helper(std::move(*model), std::move(*session)).run();
}
