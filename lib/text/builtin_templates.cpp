// DeepSeek's chat formats, written out (MODEL_SPEC section 9 states them): B system, then U text / A text E per turn.
// Tool calls and results with the templates' own bugs: their "first" flags are never reset.
#include "lib/base/format.h"
#include "lib/text/chat_content.h"
#include "lib/text/chat_template.h"

namespace ponder::core {

namespace {

constexpr std::string_view kEnd = "<｜end▁of▁sentence｜>";
constexpr std::string_view kCallsEnd = "<｜tool▁calls▁end｜>";
constexpr std::string_view kUser = "<｜User｜>";
constexpr std::string_view kAssistant = "<｜Assistant｜>";

struct Format {
  std::string_view name;
  bool join_systems;        // all system texts joined by a blank line; else the last one alone
  bool strip_reasoning;     // assistant history keeps the text after its last </think>
  bool r1_tools;            // keyed on tool_calls, keeps content beside them, ends all calls once
  std::string_view opening;  // behind kAssistant when the assistant's turn is opened
};
constexpr Format kFormats[] = {{"deepseek-v3", true, false, false, ""},
                               {"deepseek-r1", true, true, true, "<think>\n"},
                               {"r1-distill", false, true, false, "<think>\n"}};

class BuiltinTemplate final : public ChatTemplate {
 public:
  explicit BuiltinTemplate(const Format& format) : format_(format) {}

  Result<RenderedChat> render(const ChatInput& input) const override {
    if (!input.messages.is_array())
      return fail(Code::bad_template, "messages: {}, want an array", input.messages.type_name());
    if (!has_content_parts(input.messages)) return render(input.messages, input);
    PONDER_ASSIGN(const Json messages, join_content_parts(input.messages));
    return render(messages, input);
  }

 private:
  Result<RenderedChat> render(const Json& messages, const ChatInput& input) const {
    RenderedChat out;
    out.text = input.bos_token;
    const auto add_content = [&](std::string_view text) {
      if (text.empty()) return;
      out.content.push_back({out.text.size(), out.text.size() + text.size()});
      out.text += text;
    };
    PONDER_TRY(check(messages));
    const Json* last_system = nullptr;
    bool first = true;
    for (const Json& message : messages.as_array()) {
      if (message.find("role")->as_string() != "system") continue;
      last_system = message.find("content");
      if (!format_.join_systems) continue;
      if (!first) out.text += "\n\n";
      first = false;
      add_content(last_system->as_string());
    }
    if (!format_.join_systems && last_system) add_content(last_system->as_string());
    bool had_call = false, had_output = false, in_outputs = false;
    for (const Json& message : messages.as_array()) {
      const std::string& role = message.find("role")->as_string();
      const Json *text = message.find("content"), *calls = message.find("tool_calls");
      if (calls && calls->is_null()) calls = nullptr;
      std::string_view content = text->is_string() ? std::string_view(text->as_string()) : std::string_view();
      if (role == "user") {
        in_outputs = false;
        out.text += kUser;
        add_content(content);
      } else if (role == "tool") {
        in_outputs = true;
        if (!had_output) out.text += "<｜tool▁outputs▁begin｜>";
        else if (!format_.r1_tools) out.text += "\n";
        had_output = true;
        out.text += "<｜tool▁output▁begin｜>";
        add_content(content);
        out.text += "<｜tool▁output▁end｜>";
      } else if (role == "assistant" && calls && (format_.r1_tools || text->is_null())) {
        in_outputs = false;
        for (const Json& call : calls->as_array()) {
          const bool first_call = !had_call;
          if (first_call) {
            out.text += kAssistant;
            add_content(content);
            out.text += "<｜tool▁calls▁begin｜>";
          } else {
            out.text += "\n";
          }
          had_call = true;
          const Json& function = *call.find("function");
          out.text += "<｜tool▁call▁begin｜>";
          add_content(call.find("type")->as_string());
          out.text += "<｜tool▁sep｜>";
          add_content(function.find("name")->as_string());
          out.text += "\n```json\n";
          add_content(function.find("arguments")->as_string());
          out.text += "\n```<｜tool▁call▁end｜>";
          if (!first_call && !format_.r1_tools) (out.text += kCallsEnd) += kEnd;
        }
        if (format_.r1_tools) (out.text += kCallsEnd) += kEnd;
      } else if (role == "assistant" && in_outputs) {
        in_outputs = false;
        out.text += "<｜tool▁outputs▁end｜>";
        add_content(content);
        out.text += kEnd;
      } else if (role == "assistant") {
        if (format_.strip_reasoning)
          if (const std::size_t at = content.rfind("</think>"); at != content.npos) content.remove_prefix(at + 8);
        out.text += kAssistant;
        add_content(content);
        out.text += kEnd;
      }
    }
    if (in_outputs) {
      out.text += "<｜tool▁outputs▁end｜>";
      return out;
    }
    if (input.add_generation_prompt) {
      out.text += kAssistant;
      out.text += format_.opening;
    }
    return out;
  }

  static Status check(const Json& messages) {
    std::size_t i = 0;
    for (const Json& message : messages.as_array()) {
      const Json *role = message.find("role"), *content = message.find("content");
      if (!role || !role->is_string()) return fail(Code::bad_template, "messages[{}]: role is missing, want a string", i);
      const std::string& name = role->as_string();
      if (name != "system" && name != "user" && name != "assistant" && name != "tool")
        return fail(Code::bad_template, "messages[{}]: role '{}', want system, user, assistant or tool", i, name);
      const Json* calls = message.find("tool_calls");
      if (calls && calls->is_null()) calls = nullptr;
      if (calls && (!calls->is_array() || calls->as_array().empty()))
        return fail(Code::bad_template, "messages[{}]: tool_calls is {}, want an array with a call", i, calls->type_name());
      if (calls)
        for (const Json& call : calls->as_array()) {
          const Json *type = call.find("type"), *function = call.find("function");
          const Json* called = function ? function->find("name") : nullptr;
          const Json* arguments = function ? function->find("arguments") : nullptr;
          if (!type || !type->is_string() || !called || !called->is_string() || !arguments || !arguments->is_string())
            return fail(Code::bad_template, "messages[{}]: a tool call wants type, function.name and function.arguments as strings", i);
        }
      if (!content || !(content->is_string() || (content->is_null() && calls && name == "assistant")))
        return fail(Code::bad_template, "messages[{}]: content is {}, want a string or parts of text", i,
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

}  // namespace ponder::core
