// Any text: parsed or refused. What was parsed is the same after writing and parsing it again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/io/json.h"

using namespace ponder::core;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<Json> json = parse_json(text, "input");
  if (!json.ok()) {
    if (json.status().message().empty()) __builtin_trap();
    return 0;
  }
  for (int indent : {-1, 2}) {
    const Result<Json> again = parse_json(dump_json(*json, indent), "written");
    if (!again.ok() || !(*again == *json)) __builtin_trap();
  }
  return 0;
}
