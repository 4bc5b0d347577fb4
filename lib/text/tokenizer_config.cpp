#include "lib/text/tokenizer_config.h"

#include "lib/io/json.h"

namespace ponder::core {

Result<TokenizerConfig> TokenizerConfig::parse(std::string_view text) {
  TokenizerConfig out;
  if (text.empty()) return out;
  PONDER_ASSIGN(const Json config, parse_json(text, "tokenizer_config.json"));
  const auto token_text = [&](const char* key) -> std::string {
    const Json* value = config.find(key);
    if (value && value->is_object()) value = value->find("content");
    return value && value->is_string() ? value->as_string() : std::string();
  };
  out.bos_text = token_text("bos_token");
  out.eos_text = token_text("eos_token");
  if (const Json* add = config.find("add_bos_token"); add && add->is_bool()) out.add_bos = add->as_bool();
  const Json* chat = config.find("chat_template");
  if (chat && chat->is_string()) out.chat_template = chat->as_string();
  if (chat && chat->is_array())
    for (const Json& entry : chat->as_array()) {
      const Json *name = entry.find("name"), *source = entry.find("template");
      if (name && source && source->is_string() && name->is_string() &&
          (out.chat_template.empty() || name->as_string() == "default"))
        out.chat_template = source->as_string();
    }
  return out;
}

}  // namespace ponder::core
