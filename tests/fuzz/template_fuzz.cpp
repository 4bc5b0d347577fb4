// A chat template from arbitrary bytes, rendered within small limits: a status or text, whose content spans are in order. A
// zero byte parts the template from a JSON value for the messages.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/text/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ponder::core;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t border = input.find('\0');
  ChatInput chat;
  chat.messages = Json(Json::Array{Json(Json::Object{{"role", Json("user")}, {"content", Json("1+1 <x>")}})});
  if (border != input.npos) {
    const auto json = parse_json(input.substr(border + 1), "messages");
    if (json.ok()) chat.messages = *json;
  }
  chat.bos_token = "<s>";
  const TemplateLimits limits{.max_steps = 20'000, .max_depth = 60, .max_output_bytes = 1 << 16};
  const auto chat_template = ChatTemplate::parse(input.substr(0, border), limits);
  if (!chat_template.ok()) {
    if (chat_template.status().message().empty()) __builtin_trap();
    return 0;
  }
  const auto rendered = (*chat_template)->render(chat);
  if (!rendered.ok()) return 0;
  std::size_t end = 0;
  for (const TextSpan& span : rendered->content) {
    if (span.begin < end || span.begin >= span.end) __builtin_trap();
    end = span.end;
  }
  if (end > rendered->text.size() || rendered->text.size() > limits.max_output_bytes) __builtin_trap();
  return 0;
}
