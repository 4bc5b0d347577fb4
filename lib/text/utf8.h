// UTF-8, the little of it that tokenizers need. Maximal invalid subparts as the Unicode Standard (chapter 3, "U+FFFD
// Substitution of Maximal Subparts") defines them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ponder::core::utf8 {

struct Char {
  std::uint32_t code = 0xfffd;
  std::size_t size = 1;      // bytes of the character, or of the maximal invalid subpart
  bool valid = false;
  bool incomplete = false;   // invalid, but the start of a character that more bytes could finish
};

// The character at `at` (< text.size()).
inline Char next(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at);
  if (lead < 0x80) return {lead, 1, true, false};
  std::size_t length = 0;
  std::uint32_t code = 0;
  unsigned char low = 0x80, high = 0xbf;  // allowed range of the second byte
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2, code = lead & 0x1fu;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3, code = lead & 0xfu;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4, code = lead & 0x7u;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
  } else {
    return {};
  }
  for (std::size_t i = 1; i < length; ++i) {
    if (at + i >= text.size()) return {0xfffd, i, false, true};
    const unsigned char c = byte(at + i);
    if (c < low || c > high) return {0xfffd, i, false, false};
    code = code << 6 | (c & 0x3fu);
    low = 0x80, high = 0xbf;
  }
  return {code, length, true, false};
}

inline void append(std::string& out, std::uint32_t code) {
  const auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6), put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12), put(0x80 | (code >> 6 & 0x3f)), put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | code >> 18), put(0x80 | (code >> 12 & 0x3f)), put(0x80 | (code >> 6 & 0x3f)), put(0x80 | (code & 0x3f));
  }
}

inline std::size_t first_invalid(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const Char c = next(text, i);
    if (!c.valid) return i;
    i += c.size;
  }
  return std::string_view::npos;
}

inline std::string repaired(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const Char c = next(text, i);
    out += c.valid ? text.substr(i, c.size) : std::string_view("\xef\xbf\xbd");
    i += c.size;
  }
  return out;
}

}  // namespace ponder::core::utf8
