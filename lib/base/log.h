// Log messages go to a sink that belongs to one runtime; without a sink they are dropped. Nothing is ever printed.
#pragma once

#include <functional>
#include <string_view>
#include <utility>

namespace ponder::core {

enum class LogLevel : int { debug = 0, info = 1, warning = 2, error = 3 };

class Log {
 public:
  // The sink may be called from any thread that works for the runtime, one call at a time per thread; it must not throw.
  using Sink = std::function<void(LogLevel, std::string_view)>;
  Log() = default;
  Log(Sink sink, LogLevel least) : sink_(std::move(sink)), least_(least) {}

  bool wants(LogLevel level) const { return sink_ && level >= least_; }
  void write(LogLevel level, std::string_view text) const {
    if (wants(level)) sink_(level, text);
  }

 private:
  Sink sink_;
  LogLevel least_ = LogLevel::info;
};

}  // namespace ponder::core
