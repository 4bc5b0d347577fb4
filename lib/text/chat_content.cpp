#include "lib/text/chat_content.h"

#include "lib/base/format.h"

namespace ponder::core {

namespace {

const Json* parts_of(const Json& message) {
  const Json* content = message.find("content");
  return content && content->is_array() ? content : nullptr;
}

Result<std::string> joined(const Json& parts, std::size_t message) {
  std::string text;
  std::size_t i = 0;
  for (const Json& part : parts.as_array()) {
    const Json *type = part.find("type"), *piece = part.find("text");
    if (!type || !type->is_string())
      return fail(Code::bad_template, "messages[{}].content[{}] is {} without a type, want an object of type text", message, i,
                  part.type_name());
    if (type->as_string() != "text")
      return fail(Code::bad_template, "messages[{}].content[{}] is of type '{}', and only text is understood", message, i,
                  type->as_string());
    if (!piece || !piece->is_string())
      return fail(Code::bad_template, "messages[{}].content[{}].text is {}, want a string", message, i,
                  piece ? piece->type_name() : "missing");
    text += piece->as_string();
    ++i;
  }
  return text;
}

}  // namespace

bool has_content_parts(const Json& messages) {
  if (messages.is_array())
    for (const Json& message : messages.as_array())
      if (parts_of(message)) return true;
  return false;
}

Result<Json> join_content_parts(const Json& messages) {
  Json result = messages;
  std::size_t i = 0;
  for (Json& message : result.as_array()) {
    if (const Json* parts = parts_of(message)) {
      PONDER_ASSIGN(std::string text, joined(*parts, i));
      message.set("content", std::move(text));
    }
    ++i;
  }
  return result;
}

}  // namespace ponder::core
