// tokenizer.json from arbitrary bytes, and text for it behind a zero byte: a status or ids that decode. Without a zero byte
// the bytes are text for a tokenizer of a few merges.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/text/tokenizer.h"

namespace {

constexpr std::string_view kSmall = R"({"added_tokens": [{"id": 9, "content": "<x>", "special": true}],
  "normalizer": {"type": "NFC"},
  "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
    {"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}"}, "behavior": "Isolated", "invert": false},
    {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}]},
  "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "1": 5, "2": 6, "Ġ": 7, "12": 8},
            "merges": ["a b", ["ab", "c"], "1 2"]}})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ponder::core;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t border = input.find('\0');
  const bool own = border != input.npos;
  static const auto small = Tokenizer::load({kSmall, {}});
  const auto loaded = own ? Tokenizer::load({input.substr(0, border), {}}) : small;
  if (!loaded.ok()) {
    if (loaded.status().message().empty()) __builtin_trap();
    return 0;
  }
  const std::string_view text = own ? input.substr(border + 1) : input;
  for (const bool parse_special : {false, true}) {
    const auto ids = (*loaded)->encode(text, {parse_special});
    if (!ids.ok()) continue;
    if (!(*loaded)->decode(*ids, false).ok()) __builtin_trap();
  }
  const TextSpan content[] = {{0, text.size() / 2}};
  (void)(*loaded)->encode_with_content(text, content).ok();
  return 0;
}
