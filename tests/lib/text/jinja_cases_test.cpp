#include <doctest/doctest.h>

#include "lib/io/mapped_file.h"
#include "lib/text/chat_template.h"

using namespace ponder::core;

namespace {

Json read_data(const char* name) {
  const auto file = read_file(std::string(PONDER_TEST_DATA) + "/chat/" + name, 4 << 20);
  REQUIRE(file.ok());
  auto json = parse_json(*file, name);
  REQUIRE_MESSAGE(json.ok(), json.status().message());
  return std::move(json).value();
}

// Spans are ascending, disjoint, not touching and inside the text.
void check_spans(const RenderedChat& chat) {
  std::size_t end = 0;
  bool first = true;
  for (const TextSpan& span : chat.content) {
    CHECK(span.begin < span.end);
    CHECK((first || span.begin > end));
    end = span.end;
    first = false;
  }
  CHECK(end <= chat.text.size());
}

}  // namespace

TEST_CASE("jinja: every snippet renders as Jinja renders it, or fails where Jinja fails") {
  const Json data = read_data("jinja_cases.json");
  int n_failing = 0;
  for (const Json& snippet : data.find("cases")->as_array()) {
    const std::string& source = snippet.find("template")->as_string();
    CAPTURE(source);
    ChatInput input;
    input.messages = Json(Json::Array());
    input.bos_token = "<s>";
    input.eos_token = "</s>";
    if (snippet.find("with_chat")) {
      input.messages = *data.find("messages");
      input.tools = *data.find("tools");
      input.kwargs = *data.find("kwargs");
    }
    const auto chat_template = ChatTemplate::parse(source);
    const Result<RenderedChat> rendered =
        chat_template.ok() ? chat_template.value()->render(input) : Result<RenderedChat>(Status(chat_template.status()));
    if (snippet.find("fails")) {
      ++n_failing;
      REQUIRE_FALSE(rendered.ok());
      CHECK(rendered.status().code() == Code::bad_template);
      CHECK(rendered.status().message().starts_with("chat template: line "));
      continue;
    }
    REQUIRE_MESSAGE(rendered.ok(), rendered.status().message());
    CHECK(rendered->text == snippet.find("text")->as_string());
    check_spans(*rendered);
  }
  CHECK(n_failing > 50);
}

TEST_CASE("jinja: every golden conversation with its published template, byte for byte") {
  const Json golden = read_data("chat.golden.json"), templates = read_data("templates.json");
  int n_equal = 0;
  for (const auto& [key, entry] : templates.as_object()) {
    const std::string name = key;  // a binding cannot be captured
    const auto chat_template = ChatTemplate::parse(entry.find("template")->as_string());
    REQUIRE_MESSAGE(chat_template.ok(), chat_template.status().message());
    for (const Json& conversation : golden.find("conversations")->as_array()) {
      const std::string& conversation_name = conversation.find("name")->as_string();
      const Json* want = golden.find("renders")->find(name)->find(conversation_name);
      if (!want) continue;
      CAPTURE(name);
      CAPTURE(conversation_name);
      ChatInput input;
      input.messages = *conversation.find("messages");
      input.add_generation_prompt = conversation.find("add_generation_prompt")->as_bool();
      input.bos_token = entry.find("bos_token")->as_string();
      input.eos_token = entry.find("eos_token")->as_string();
      const auto rendered = chat_template.value()->render(input);
      REQUIRE_MESSAGE(rendered.ok(), rendered.status().message());
      CHECK(rendered->text == want->find("text")->as_string());
      check_spans(*rendered);
      ++n_equal;
    }
  }
  CHECK(n_equal == 38);
}
