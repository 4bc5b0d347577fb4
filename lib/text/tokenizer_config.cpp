#include "lib/text/tokenizer_config.h"

#include "lib/base/format.h"
#include "lib/io/json.h"

namespace ponder::core {

Result<TokenizerConfig> TokenizerConfig::parse(std::string_view text, MemoryCharge* memory) {
  TokenizerConfig out;
  if (text.empty()) return out;
  PONDER_ASSIGN(const Json config, parse_json(text, "tokenizer_config.json", {.memory = memory}));
  if (!config.is_object()) return fail(Code::bad_file, "tokenizer_config.json: {}, want an object", config.type_name());
  const auto read_token = [&](const char* key, std::string& token) -> Status {
    const Json* value = config.find(key);
    if (!value) return {};
    const Json* content = value->is_object() ? value->find("content") : value;
    if (!content || !(content->is_string() || content->is_null()))
      return fail(Code::bad_file, "tokenizer_config.json: {} is {}, want a string, an object with content, or null", key,
                  dump_json(*value));
    if (content->is_string()) token = content->as_string();
    return {};
  };
  out.has_bos = config.find("bos_token");
  PONDER_TRY(read_token("bos_token", out.bos_text));
  PONDER_TRY(read_token("eos_token", out.eos_text));
  if (const Json* add = config.find("add_bos_token"); add && add->is_bool()) out.add_bos = add->as_bool();
  const Json* chat = config.find("chat_template");
  if (chat && chat->is_string()) out.chat_template = chat->as_string();
  if (chat && chat->is_array())
    for (const Json& entry : chat->as_array()) {
      const Json *name = entry.find("name"), *source = entry.find("template");
      if (!name || !name->is_string() || !source || !source->is_string()) continue;
      if (out.chat_template.empty() || name->as_string() == "default") out.chat_template = source->as_string();
      if (name->as_string() == "tool_use") out.tool_template = source->as_string();
    }
  return out;
}

}  // namespace ponder::core
