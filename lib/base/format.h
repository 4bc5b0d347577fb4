// fmt, header-only, and the one helper that builds a failed Status from a format string. Include it in .cpp files.
#pragma once

#include <fmt/format.h>

#include "lib/base/status.h"

namespace ponder::core {

template <class... Args>
[[nodiscard]] Status fail(Code code, fmt::format_string<Args...> text, Args&&... args) {
  return Status(code, fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace ponder::core
