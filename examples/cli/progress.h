// A progress bar on standard error, where that is a terminal.
#pragma once

#include <chrono>
#include <string>

namespace cli {

class Progress {
 public:
  Progress(std::string label, bool shown);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // fraction in [0, 1]; `note` is what is known so far.
  void show(double fraction, const std::string& note = {});
  void clear();  // the line, for what is printed next

 private:
  using Clock = std::chrono::steady_clock;
  std::string label_;
  bool shown_;
  Clock::time_point start_ = Clock::now(), last_{};
};

}  // namespace cli
