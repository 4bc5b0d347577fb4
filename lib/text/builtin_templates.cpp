// DeepSeek's chat formats, written out (MODEL_SPEC section 9 states them): B system, then U text / A text E per turn.
// Tool calls and tool results are refused by name here.
#include "lib/base/format.h"
#include "lib/text/chat_template.h"

namespace ponder::core {

namespace {

constexpr std::string_view kEnd = "<｜end▁of▁sentence｜>";
constexpr std::string_view kUser = "<｜User｜>";
constexpr std::string_view kAssistant = "<｜Assistant｜>";

struct Format {
  std::string_view name;
  bool join_systems;        // all system texts joined by a blank line; else the last one alone
  bool strip_reasoning;     // assistant history keeps the text after its last </think>
  std::string_view opening;  // behind kAssistant when the assistant's turn is opened
};
constexpr Format kFormats[] = {{"deepseek-v3", true, false, ""},
                               {"deepseek-r1", true, true, "<think>\n"},
                               {"r1-distill", false, true, "<think>\n"}};

class BuiltinTemplate final : public ChatTemplate {
 public:
  explicit BuiltinTemplate(const Format& format) : format_(format) {}

  Result<RenderedChat> render(const ChatInput& input) const override {
    if (!input.messages.is_array())
      return fail(Code::bad_template, "messages: {}, want an array", input.messages.type_name());
    RenderedChat out;
    out.text = input.bos_token;
    const auto add_content = [&](std::string_view text) {
      if (text.empty()) return;
      out.content.push_back({out.text.size(), out.text.size() + text.size()});
      out.text += text;
    };
    PONDER_TRY(check(input.messages));
    const Json* last_system = nullptr;
    bool first = true;
    for (const Json& message : input.messages.as_array()) {
      if (message.find("role")->as_string() != "system") continue;
      last_system = message.find("content");
      if (!format_.join_systems) continue;
      if (!first) out.text += "\n\n";
      first = false;
      add_content(last_system->as_string());
    }
    if (!format_.join_systems && last_system) add_content(last_system->as_string());
    for (const Json& message : input.messages.as_array()) {
      const std::string& role = message.find("role")->as_string();
      std::string_view content = message.find("content")->as_string();
      if (role == "user") {
        out.text += kUser;
        add_content(content);
      } else if (role == "assistant") {
        if (format_.strip_reasoning)
          if (const std::size_t at = content.rfind("</think>"); at != content.npos) content.remove_prefix(at + 8);
        out.text += kAssistant;
        add_content(content);
        out.text += kEnd;
      }
    }
    if (input.add_generation_prompt) {
      out.text += kAssistant;
      out.text += format_.opening;
    }
    return out;
  }

 private:
  static Status check(const Json& messages) {
    std::size_t i = 0;
    for (const Json& message : messages.as_array()) {
      const Json *role = message.find("role"), *content = message.find("content");
      if (!role || !role->is_string()) return fail(Code::bad_template, "messages[{}]: role is missing, want a string", i);
      if (role->as_string() == "tool" || message.find("tool_calls"))
        return fail(Code::unsupported, "messages[{}]: tool calls are not part of the built-in formats yet", i);
      if (role->as_string() != "system" && role->as_string() != "user" && role->as_string() != "assistant")
        return fail(Code::bad_template, "messages[{}]: role '{}', want system, user or assistant", i, role->as_string());
      if (!content || !content->is_string())
        return fail(Code::bad_template, "messages[{}]: content is {}, want a string", i,
                    content ? content->type_name() : "missing");
      ++i;
    }
    return {};
  }
  Format format_;
};

}  // namespace

Result<std::shared_ptr<const ChatTemplate>> ChatTemplate::builtin(std::string_view name) {
  for (const Format& format : kFormats)
    if (format.name == name) return std::shared_ptr<const ChatTemplate>(std::make_shared<BuiltinTemplate>(format));
  return fail(Code::not_found, "no built-in chat template '{}', want deepseek-v3, deepseek-r1 or r1-distill", name);
}

Result<std::shared_ptr<const ChatTemplate>> ChatTemplate::parse(std::string_view, const TemplateLimits&) {
  return Status(Code::unsupported, "Jinja chat templates cannot be rendered yet; use a built-in format");
}

}  // namespace ponder::core
