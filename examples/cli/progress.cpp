#include "examples/cli/progress.h"

#include <cstdio>

#include "examples/cli/common.h"

namespace cli {

Progress::Progress(std::string label, bool shown) : label_(std::move(label)), shown_(shown && is_terminal(2)) {}

void Progress::clear() {
  if (shown_) std::fprintf(stderr, "\r\033[K");
}

void Progress::show(double fraction, const std::string& note) {
  const Clock::time_point now = Clock::now();
  if (!shown_ || (fraction < 1 && now - last_ < std::chrono::milliseconds(50))) return;
  last_ = now;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  char left[32] = "";
  if (fraction > 0 && fraction < 1 && seconds > 2) {
    const int rest = static_cast<int>(seconds * (1 - fraction) / fraction + 0.5);
    std::snprintf(left, sizeof left, "  %d:%02d left", rest / 60, rest % 60);
  }
  std::fprintf(stderr, "\r\033[K%s [%-40.*s] %3d %%%s%s%s", label_.c_str(), static_cast<int>(fraction * 40),
               "########################################", static_cast<int>(fraction * 100), left, note.empty() ? "" : "  ",
               note.c_str());
}

}  // namespace cli
