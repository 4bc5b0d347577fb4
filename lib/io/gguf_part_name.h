// Names of the files of a split GGUF: STEM-00002-of-00003.gguf.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ponder::core {

struct GgufPartName {
  std::string_view stem;  // of the name that was given
  std::int64_t number = 0, count = 0;
};

// Nothing where the name is not that of a part.
inline std::optional<GgufPartName> gguf_part_name(std::string_view name) {
  constexpr std::string_view kForm = "-00001-of-00003.gguf";
  if (name.size() < kForm.size()) return std::nullopt;
  GgufPartName part;
  part.stem = name.substr(0, name.size() - kForm.size());
  const std::string_view tail = name.substr(part.stem.size());
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    const bool digit = tail[i] >= '0' && tail[i] <= '9';
    if ((kForm[i] >= '0' && kForm[i] <= '9') ? !digit : tail[i] != kForm[i]) return std::nullopt;
    if (digit && i < 6) part.number = part.number * 10 + (tail[i] - '0');
    if (digit && i >= 6) part.count = part.count * 10 + (tail[i] - '0');
  }
  return part;
}

}  // namespace ponder::core
