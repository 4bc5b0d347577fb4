// Any template over any messages: rendered, or refused with a status that names a line. The input is the template, then
// optionally a zero byte and JSON: the messages, or an object with messages, tools and kwargs.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/text/chat_template.h"

using namespace ponder::core;

namespace {

constexpr std::string_view kMessages =
    R"([{"role": "system", "content": "s"}, {"role": "user", "content": "a <｜User｜> é 你 \"q\"\n"},)"
    R"( {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1.5}}}]}])";

void check_failure(const Status& status) {
  if (status.code() != Code::bad_template || status.message().find("chat template: ") != 0) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::size_t zero = all.find('\0');
  const Result<Json> given = parse_json(zero == all.npos ? kMessages : all.substr(zero + 1), "input");
  TemplateLimits limits;
  limits.max_steps = 20'000;
  limits.max_output_bytes = 1 << 16;
  limits.max_memory_bytes = std::size_t{8} << 20;
  const auto chat_template = ChatTemplate::parse(all.substr(0, zero), limits);
  if (!chat_template.ok()) {
    check_failure(chat_template.status());
    return 0;
  }
  ChatInput input;
  input.bos_token = "<s>";
  if (given.ok()) {
    input.messages = given->find("messages") ? *given->find("messages") : *given;
    if (given->find("tools")) input.tools = *given->find("tools");
    if (given->find("kwargs")) input.kwargs = *given->find("kwargs");
  }
  const auto rendered = chat_template.value()->render(input);
  if (!rendered.ok()) {
    check_failure(rendered.status());
    return 0;
  }
  if (rendered->text.size() > limits.max_output_bytes) __builtin_trap();
  std::size_t end = 0;
  for (const TextSpan& span : rendered->content) {
    if (span.begin < end || span.begin >= span.end || span.end > rendered->text.size()) __builtin_trap();
    end = span.end;
  }
  return 0;
}
