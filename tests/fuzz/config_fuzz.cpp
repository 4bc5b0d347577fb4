// config.json from arbitrary bytes: a status or a config whose sizes are in range.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/io/json.h"
#include "lib/model/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ponder::core;
  const auto json = parse_json({reinterpret_cast<const char*>(data), size}, "config.json");
  if (!json.ok()) return 0;
  (void)GenerationConfig::parse(*json).ok();
  const auto config = Config::parse(*json);
  if (!config.ok()) return 0;
  const bool sane = config->hidden_size > 0 && config->vocab_size > 0 && config->num_hidden_layers > 0 &&
                    config->num_attention_heads > 0 && config->kv_row_elements() > 0 && config->moe_layer_freq > 0 &&
                    config->num_experts_per_tok <= config->n_routed_experts;
  if (!sane) __builtin_trap();
  return 0;
}
