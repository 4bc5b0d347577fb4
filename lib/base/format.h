// Text by fmt, and the one helper that builds a failed Status from a format string. Include it in .cpp files.
//
// What formats is compiled once, in format.cpp: five seconds in every file that has it header-only.
#pragma once

#include <fmt/core.h>

#include <string>

#include "lib/base/status.h"

namespace ponder::core {

std::string format_args_text(fmt::string_view text, fmt::format_args args);

// As fmt::format.
template <class... Args>
[[nodiscard]] std::string formatted(fmt::format_string<Args...> text, Args&&... args) {
  return format_args_text(text, fmt::make_format_args(args...));
}

template <class... Args>
[[nodiscard]] Status fail(Code code, fmt::format_string<Args...> text, Args&&... args) {
  return Status(code, formatted(text, std::forward<Args>(args)...));
}

}  // namespace ponder::core
