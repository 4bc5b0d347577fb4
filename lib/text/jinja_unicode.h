// What Python's str methods know about characters.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ponder::core::jinja {

bool is_space(std::uint32_t c);  // str.isspace, str.strip, \s
bool is_alpha(std::uint32_t c);  // str.isalpha; beyond ASCII all letters, and some symbols that are none
bool is_digit(std::uint32_t c);  // str.isdigit for ASCII; other decimal digits too
bool is_printable(std::uint32_t c);  // false: repr() escapes it
std::uint32_t to_upper(std::uint32_t c);  // simple mappings: one character to one
std::uint32_t to_lower(std::uint32_t c);
inline bool is_upper(std::uint32_t c) { return to_lower(c) != c; }
inline bool is_lower(std::uint32_t c) { return to_upper(c) != c || c == 0xdf; }
inline bool is_cased(std::uint32_t c) { return is_upper(c) || is_lower(c); }

void append_utf8(std::string& out, std::uint32_t c);
std::string to_utf8(std::uint32_t c);

// Bytes of leading and trailing white space.
std::size_t leading_space(std::string_view text);
std::size_t trailing_space(std::string_view text);

}  // namespace ponder::core::jinja
