// Fuzz input as a list of patches to a valid text: 5 bytes each (what, where as u16, two values), so that the fuzzer starts
// from files that load instead of having to guess one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace ponder::fuzz {

inline constexpr std::size_t kPatchBytes = 5;

// Changes one place of `text`.
inline void apply_patch(std::string& text, std::span<const std::uint8_t> patch) {
  static constexpr const char* kPieces[] = {"0",   "-1",   "1",     "2",  "3",  "9",  "128", "null", "true", "1e9", "\"\"", "[]",
                                            "{}",  ",",    ":",     "\"", "]",  "}",  "[",   "{",    "4096", "-",   ".5",   "65536",
                                            "64",  "e308", "false", "F32", "F8_E4M3", "4611686018427387904", "BF16", "16777216"};
  if (text.empty()) return;
  const std::size_t at = (std::size_t{patch[1]} << 8 | patch[2]) % text.size();
  const std::size_t count = patch[3] % 16 + 1;
  const auto end_of_word = [&] {  // of a number, name or literal: what a change of value replaces
    std::size_t end = at;
    while (end < text.size() && std::string_view(" ,:[]{}\"\n").find(text[end]) == std::string_view::npos) ++end;
    return end;
  };
  switch (patch[0] % 6) {
    case 0: text[at] = static_cast<char>(patch[3]); break;
    case 1: text[at] = static_cast<char>(text[at] ^ (1 << patch[3] % 8)); break;
    case 2: text.erase(at, count); break;
    case 3: text.insert(at, text.substr(patch[4] * text.size() / 256, count)); break;
    case 4: text.insert(at, kPieces[patch[3] % std::size(kPieces)]); break;
    case 5: text.replace(at, end_of_word() - at, kPieces[patch[3] % std::size(kPieces)]); break;
  }
}

}  // namespace ponder::fuzz
