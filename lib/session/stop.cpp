#include "lib/session/stop.h"

#include <algorithm>

#include "lib/base/format.h"

namespace ponder::core {

Status StopMatcher::validate(const std::vector<std::string>& stops) {
  if (stops.size() > kMaxStops) return fail(Code::invalid_argument, "{} stop strings, at most {}", stops.size(), kMaxStops);
  for (std::size_t i = 0; i < stops.size(); ++i)
    if (stops[i].empty() || stops[i].size() > kMaxStopBytes)
      return fail(Code::invalid_argument, "stop[{}]: {} bytes, want 1 to {}", i, stops[i].size(), kMaxStopBytes);
  return {};
}

void StopMatcher::set_stops(const std::vector<std::string>& stops, std::string_view held) {
  stops_ = stops;
  std::size_t longest = held.size();
  for (const std::string& stop : stops_) longest = std::max(longest, stop.size());
  held_.reserve(longest + 512);  // push() allocates only for tokens beyond 512 bytes
  held_ = held;
}

bool StopMatcher::push(std::string_view text, std::string& out) {
  held_ += text;
  if (stops_.empty()) {
    flush(out);
    return false;
  }
  std::size_t first = std::string::npos;
  for (const std::string& stop : stops_) first = std::min(first, held_.find(stop));
  if (first != std::string::npos) {
    out.append(held_, 0, first);
    held_.clear();
    return true;
  }
  // Keep the longest tail that begins a stop string.
  std::size_t keep = 0;
  for (const std::string& stop : stops_)
    for (std::size_t n = std::min(stop.size() - 1, held_.size()); n > keep; --n)
      if (held_.compare(held_.size() - n, n, stop, 0, n) == 0) {
        keep = n;
        break;
      }
  out.append(held_, 0, held_.size() - keep);
  held_.erase(0, held_.size() - keep);
  return false;
}

void StopMatcher::flush(std::string& out) {
  out += held_;
  held_.clear();
}

}  // namespace ponder::core
