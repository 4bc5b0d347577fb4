// Stop strings: text is held back while it may turn out to be the beginning of one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"

namespace ponder::core {

class StopMatcher {
 public:
  static constexpr std::size_t kMaxStopBytes = 4096;
  static constexpr std::size_t kMaxStops = 256;
  static Status validate(const std::vector<std::string>& stops);

  // Validated stops. `held`: text held back for other stop strings, to be looked at again with the next text.
  void set_stops(const std::vector<std::string>& stops, std::string_view held = {});
  // Appends to `out` what can be shown. True when a stop string was met: what came before it is in `out`, the rest is
  // dropped.
  bool push(std::string_view text, std::string& out);
  // Appends what was held back.
  void flush(std::string& out);
  void reset() { held_.clear(); }
  const std::string& held() const { return held_; }
  void set_held(std::string_view text) { held_ = text; }
  std::size_t capacity() const { return held_.capacity(); }  // more is never held without allocating

 private:
  std::vector<std::string> stops_;
  std::string held_;
};

}  // namespace ponder::core
