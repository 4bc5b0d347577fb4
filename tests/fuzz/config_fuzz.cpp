// config.json from arbitrary bytes, or from a fixture's config with patches: a status, or a config whose sizes are in range.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/io/json.h"
#include "lib/io/mapped_file.h"
#include "lib/model/config.h"
#include "tests/fuzz/patches.h"

using namespace ponder::core;

namespace {

void check(std::string_view text) {
  const auto json = parse_json(text, "config.json");
  if (!json.ok()) return;
  (void)GenerationConfig::parse(*json).ok();
  const auto config = Config::parse(*json);
  if (!config.ok()) {
    if (config.status().message().empty()) __builtin_trap();
    return;
  }
  const bool sane = config->hidden_size > 0 && config->vocab_size > 0 && config->num_hidden_layers > 0 &&
                    config->num_attention_heads > 0 && config->kv_row_elements() > 0 && config->moe_layer_freq > 0 &&
                    config->num_experts_per_tok <= config->n_routed_experts;
  if (!sane) __builtin_trap();
}

std::vector<std::string> read_fixtures() {
  std::vector<std::string> texts;
  for (const char* name : {"v2lite-tiny", "v2-tiny", "v3-tiny", "v3-fp8-tiny", "qwen2-tiny", "llama3-tiny", "v3-odd-tiny"}) {
    auto text = read_file(std::string(PONDER_TEST_DATA "/models/") + name + "/config.json", 1 << 20);
    if (!text.ok()) __builtin_trap();
    texts.push_back(std::move(text).value());
  }
  return texts;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<std::string> fixtures = read_fixtures();
  check({reinterpret_cast<const char*>(data), size});
  if (size == 0) return 0;
  std::string text = fixtures[data[0] % fixtures.size()];
  for (std::span<const std::uint8_t> rest(data + 1, size - 1); rest.size() >= ponder::fuzz::kPatchBytes;
       rest = rest.subspan(ponder::fuzz::kPatchBytes))
    ponder::fuzz::apply_patch(text, rest);
  check(text);
  return 0;
}
