// A conversation off the UI thread, without any toolkit: a worker loads the model and computes; the window asks, stops, and
// takes what is new whenever it draws. However fast tokens come, the window is never flooded with events.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ponder/ponder.hpp"

class Conversation {
 public:
  // `params`: how to sample and when to stop; without them what the checkpoint asks for.
  explicit Conversation(std::string model_path, std::optional<ponder_generate_params> params = {});
  ~Conversation();  // stops what runs, within one layer's time

  // Everything below may be called from the UI thread at any time; nothing waits for the worker.
  void ask(std::string question);  // ignored while busy
  void stop();

  enum class State { loading, ready, busy, failed };
  struct News {
    State state = State::loading;
    float loaded = 0;              // 0 .. 1
    std::string thinking, answer;  // text since the last call
    ponder_finish finish = PONDER_FINISH_NONE;  // of the last reply, once it has ended
    std::string problem;           // since the last call; of the loading, too
  };
  News take();

 private:
  void work(const std::string& model_path, const std::optional<ponder_generate_params>& params);
  void reply_to(ponder::Session& session, const std::string& question);

  // The worker's.
  struct Message {
    const char* role;
    std::string content;
  };
  std::vector<Message> messages_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  News news_;
  std::string question_;
  ponder_session* session_ = nullptr;  // for stop()
  bool closing_ = false;

  std::atomic<bool> stopped_{false};
  std::thread worker_;
};
