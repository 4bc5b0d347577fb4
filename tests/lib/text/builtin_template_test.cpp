#include <doctest/doctest.h>

#include "lib/io/mapped_file.h"
#include "lib/text/chat_template.h"

using namespace ponder::core;

TEST_CASE("built-in chat formats: every golden conversation, byte for byte") {
  auto file = read_file(std::string(PONDER_TEST_DATA) + "/chat/chat.golden.json", 1 << 20);
  REQUIRE(file.ok());
  auto golden = parse_json(*file, "chat.golden.json");
  REQUIRE(golden.ok());
  int n_equal = 0;
  const std::pair<const char*, const char*> formats[] = {
      {"deepseek_v3", "deepseek-v3"}, {"deepseek_r1", "deepseek-r1"}, {"r1_distill", "r1-distill"}};
  for (const auto& [golden_name, builtin_name] : formats) {
    const std::string name = builtin_name;  // a binding cannot be captured
    const auto chat_template = ChatTemplate::builtin(name).value();
    for (const Json& conversation : golden->find("conversations")->as_array()) {
      const std::string& conversation_name = conversation.find("name")->as_string();
      const Json* want = golden->find("renders")->find(golden_name)->find(conversation_name);
      if (!want || !want->find("text")) continue;
      ChatInput input;
      input.messages = *conversation.find("messages");
      const Json* add = conversation.find("add_generation_prompt");
      input.add_generation_prompt = !add || add->as_bool();
      input.bos_token = "<｜begin▁of▁sentence｜>";
      input.eos_token = "<｜end▁of▁sentence｜>";
      const auto rendered = chat_template->render(input);
      CAPTURE(name);
      CAPTURE(conversation_name);
      REQUIRE_MESSAGE(rendered.ok(), rendered.status().message());
      CHECK(rendered->text == want->find("text")->as_string());
      ++n_equal;
    }
  }
  CHECK(n_equal == 30);
}

TEST_CASE("built-in chat formats: content spans cover what came from messages and nothing else") {
  const auto chat_template = ChatTemplate::builtin("deepseek-r1").value();
  ChatInput input;
  input.messages = parse_json(R"([{"role": "user", "content": "a<think>"}])", "messages").value();
  const auto rendered = chat_template->render(input).value();
  REQUIRE(rendered.content.size() == 1);
  CHECK(rendered.text.substr(rendered.content[0].begin, rendered.content[0].end - rendered.content[0].begin) == "a<think>");
}

TEST_CASE("built-in chat formats: content in parts is their text, joined, and one span") {
  const auto render = [](const char* messages) {
    ChatInput input;
    input.messages = parse_json(messages, "messages").value();
    return ChatTemplate::builtin("deepseek-v3").value()->render(input);
  };
  const auto rendered = render(
      R"([{"role": "system", "content": [{"type": "text", "text": "S"}]},
          {"role": "user", "content": [{"type": "text", "text": "a "}, {"text": "b", "type": "text"}]},
          {"role": "assistant", "content": []}, {"role": "user", "content": "c"}])").value();
  CHECK(rendered.text == "S<｜User｜>a b<｜Assistant｜><｜end▁of▁sentence｜><｜User｜>c<｜Assistant｜>");
  REQUIRE(rendered.content.size() == 3);
  CHECK(rendered.content[1].end - rendered.content[1].begin == 3);
  const auto refused = [&](const char* parts, std::string_view wanted) {
    const Status status =
        render((R"([{"role": "user", "content": "a"}, {"role": "user", "content": )" + std::string(parts) + "}]").c_str()).status();
    CAPTURE(status.message());
    CHECK(status.code() == Code::bad_template);
    CHECK(status.message().find("messages[1].content") != std::string::npos);
    CHECK(status.message().find(wanted) != std::string::npos);
  };
  refused(R"([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "x"}}])", "[1] is of type 'image_url'");
  refused(R"([{"type": "text"}])", "text is missing");
  refused(R"([{"type": "text", "text": 5}])", "text is integer");
  refused(R"(["a"])", "[0] is string");
  refused(R"([{"type": null, "text": "a"}])", "without a type");
}

TEST_CASE("built-in chat formats: V2 has plain labels, systems where they stand, and no tools") {
  const auto render = [](const char* messages, bool open) {
    ChatInput input;
    input.messages = parse_json(messages, "messages").value();
    input.bos_token = "<B>";
    input.add_generation_prompt = open;
    return ChatTemplate::builtin("deepseek-v2").value()->render(input);
  };
  constexpr const char* kChat =
      R"([{"role": "system", "content": "S"}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "<think>b</think>c"},
          {"role": "system", "content": "T"}, {"role": "user", "content": " d "}])";
  const auto rendered = render(kChat, true).value();
  CHECK(rendered.text == "<B>S\n\nUser: a\n\nAssistant: <think>b</think>c<｜end▁of▁sentence｜>T\n\nUser:  d \n\nAssistant:");
  CHECK(rendered.content.size() == 5);
  CHECK(render(kChat, false).value().text + "Assistant:" == rendered.text);
  CHECK(render(R"([{"role": "tool", "content": "a"}])", true).status().message().find("messages[0]: role 'tool'") == 0);
  const char* const call =
      R"([{"role": "assistant", "content": null, "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": ""}}]}])";
  CHECK(render(call, true).status().message().find("messages[0]: tool_calls") == 0);
}

TEST_CASE("built-in chat formats: enable_thinking=false closes the thinking where the format opens one") {
  const auto render = [](const char* name, const char* kwargs, bool open = true) {
    ChatInput input;
    input.messages = parse_json(R"([{"role": "user", "content": "a"}])", "messages").value();
    if (kwargs) input.kwargs = parse_json(kwargs, "kwargs").value();
    input.add_generation_prompt = open;
    return ChatTemplate::builtin(name).value()->render(input);
  };
  for (const char* name : {"deepseek-r1", "r1-distill"}) {
    CAPTURE(name);
    CHECK(render(name, R"({"enable_thinking": false})")->text == "<｜User｜>a<｜Assistant｜><think>\n\n</think>\n\n");
    CHECK(render(name, R"({"enable_thinking": true})")->text == "<｜User｜>a<｜Assistant｜><think>\n");
    CHECK(render(name, R"({"enable_thinking": null, "date": 5})")->text == "<｜User｜>a<｜Assistant｜><think>\n");
    CHECK(render(name, R"({"enable_thinking": false})", false)->text == "<｜User｜>a");
  }
  for (const char* name : {"deepseek-v2", "deepseek-v3"})
    for (const char* kwargs : {R"({"enable_thinking": false})", R"({"enable_thinking": true})"})
      CHECK(render(name, kwargs)->text == render(name, nullptr)->text);
  const Status status = render("deepseek-r1", R"({"enable_thinking": "False"})").status();
  CHECK(status.code() == Code::bad_template);
  CHECK(status.message() == "enable_thinking is \"False\", want true or false");
}

TEST_CASE("built-in chat formats: messages of the wrong form are refused by index") {
  const auto chat_template = ChatTemplate::builtin("deepseek-v3").value();
  for (const char* messages : {"{}", R"([{"content": "a"}])", R"([{"role": "user"}])", R"([{"role": "x", "content": "a"}])"}) {
    ChatInput input;
    input.messages = parse_json(messages, "messages").value();
    CHECK(chat_template->render(input).status().code() == Code::bad_template);
  }
  CHECK(ChatTemplate::builtin("nonsense").status().code() == Code::not_found);
}
