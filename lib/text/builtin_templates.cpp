// DeepSeek's chat formats, written out (MODEL_SPEC section 9 states them): B system, then U text / A text E per turn.
// Tool calls and results with the templates' own bugs: their "first" flags are never reset. V2's older format marks turns
// with plain labels and knows no tools.
#include "lib/base/format.h"
#include "lib/text/chat_content.h"
#include "lib/text/chat_template.h"

namespace ponder::core {

namespace {

constexpr std::string_view kEnd = "<｜end▁of▁sentence｜>";
constexpr std::string_view kCallsEnd = "<｜tool▁calls▁end｜>";
constexpr std::string_view kUser = "<｜User｜>";
constexpr std::string_view kAssistant = "<｜Assistant｜>";
// What the users of R1 put in the model's mouth to have no thinking, and what Qwen3's own template writes for it.
constexpr std::string_view kNoThinking = "<think>\n\n</think>\n\n";

struct Format {
  std::string_view name;
  bool join_systems;        // all system texts joined by a blank line; else the last one alone
  bool strip_reasoning;     // assistant history keeps the text after its last </think>
  bool r1_tools;            // keyed on tool_calls, keeps content beside them, ends all calls once
  std::string_view opening;  // behind kAssistant when the assistant's turn is opened
  bool labels = false;       // V2's turns: "User: " and "Assistant: "
};
constexpr Format kFormats[] = {{"deepseek-v3", true, false, false, ""},
                               {"deepseek-r1", true, true, true, "<think>\n"},
                               {"r1-distill", false, true, false, "<think>\n"},
                               {"deepseek-v2", false, false, false, "", true}};

// Writes the prompt and keeps account of what is content.
struct Prompt {
  RenderedChat out;
  Prompt& operator<<(std::string_view text) {
    out.text += text;
    return *this;
  }
  Prompt& content(std::string_view text) {
    if (!text.empty()) out.content.push_back({out.text.size(), out.text.size() + text.size()});
    out.text += text;
    return *this;
  }
};

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
    PONDER_TRY(check(messages));
    PONDER_ASSIGN(const bool think, enable_thinking(input.kwargs));
    Prompt prompt;
    prompt << input.bos_token;
    const bool open = format_.labels ? write_labelled(messages, prompt) : write_turns(messages, prompt);
    if (input.add_generation_prompt && open) {
      if (format_.labels) prompt << "Assistant:";
      else prompt << kAssistant << (think || format_.opening.empty() ? format_.opening : kNoThinking);
    }
    return std::move(prompt.out);
  }

  // The one variable that these formats know.
  static Result<bool> enable_thinking(const Json& kwargs) {
    const Json* value = kwargs.find("enable_thinking");
    if (!value || value->is_null()) return true;
    if (!value->is_bool()) return fail(Code::bad_template, "enable_thinking is {}, want true or false", dump_json(*value));
    return value->as_bool();
  }

  static bool write_labelled(const Json& messages, Prompt& prompt) {
    for (const Json& message : messages.as_array()) {
      const std::string &role = message.find("role")->as_string(), &content = message.find("content")->as_string();
      if (role == "system") prompt.content(content) << "\n\n";
      else if (role == "user") (prompt << "User: ").content(content) << "\n\n";
      else (prompt << "Assistant: ").content(content) << kEnd;
    }
    return true;
  }

  // Whether the assistant's turn may be opened: not behind results of tools.
  bool write_turns(const Json& messages, Prompt& prompt) const {
    const Json* last_system = nullptr;
    for (const Json& message : messages.as_array()) {
      if (message.find("role")->as_string() != "system") continue;
      if (format_.join_systems) (prompt << (last_system ? "\n\n" : "")).content(message.find("content")->as_string());
      last_system = message.find("content");
    }
    if (!format_.join_systems && last_system) prompt.content(last_system->as_string());
    bool had_call = false, had_output = false, in_outputs = false;
    for (const Json& message : messages.as_array()) {
      const std::string& role = message.find("role")->as_string();
      const Json *text = message.find("content"), *calls = message.find("tool_calls");
      if (calls && calls->is_null()) calls = nullptr;
      std::string_view content = text->is_string() ? std::string_view(text->as_string()) : std::string_view();
      if (role == "user") {
        in_outputs = false;
        (prompt << kUser).content(content);
      } else if (role == "tool") {
        in_outputs = true;
        if (!had_output) prompt << "<｜tool▁outputs▁begin｜>";
        else if (!format_.r1_tools) prompt << "\n";
        had_output = true;
        (prompt << "<｜tool▁output▁begin｜>").content(content) << "<｜tool▁output▁end｜>";
      } else if (role == "assistant" && calls && (format_.r1_tools || text->is_null())) {
        in_outputs = false;
        for (const Json& call : calls->as_array()) {
          const bool first_call = !had_call;
          had_call = true;
          if (first_call) (prompt << kAssistant).content(content) << "<｜tool▁calls▁begin｜>";
          else prompt << "\n";
          const Json& function = *call.find("function");
          (prompt << "<｜tool▁call▁begin｜>").content(call.find("type")->as_string());
          (prompt << "<｜tool▁sep｜>").content(function.find("name")->as_string());
          (prompt << "\n```json\n").content(function.find("arguments")->as_string()) << "\n```<｜tool▁call▁end｜>";
          if (!first_call && !format_.r1_tools) prompt << kCallsEnd << kEnd;
        }
        if (format_.r1_tools) prompt << kCallsEnd << kEnd;
      } else if (role == "assistant" && in_outputs) {
        in_outputs = false;
        (prompt << "<｜tool▁outputs▁end｜>").content(content) << kEnd;
      } else if (role == "assistant") {
        if (format_.strip_reasoning)
          if (const std::size_t at = content.rfind("</think>"); at != content.npos) content.remove_prefix(at + 8);
        (prompt << kAssistant).content(content) << kEnd;
      }
    }
    if (in_outputs) prompt << "<｜tool▁outputs▁end｜>";
    return !in_outputs;
  }

  Status check(const Json& messages) const {
    std::size_t i = 0;
    for (const Json& message : messages.as_array()) {
      const Json *role = message.find("role"), *content = message.find("content");
      if (!role || !role->is_string()) return fail(Code::bad_template, "messages[{}]: role is missing, want a string", i);
      const std::string& name = role->as_string();
      if (name != "system" && name != "user" && name != "assistant" && name != "tool")
        return fail(Code::bad_template, "messages[{}]: role '{}', want system, user, assistant or tool", i, name);
      const Json* calls = message.find("tool_calls");
      if (calls && calls->is_null()) calls = nullptr;
      if (format_.labels && (calls || name == "tool"))
        return fail(Code::bad_template, "messages[{}]: {}, which the format {} has no place for", i,
                    calls ? "tool_calls" : "role 'tool'", format_.name);
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
  return fail(Code::not_found, "no built-in chat template '{}', want deepseek-v2, deepseek-v3, deepseek-r1 or r1-distill", name);
}

}  // namespace ponder::core
