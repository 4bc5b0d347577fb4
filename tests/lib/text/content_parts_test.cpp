// Content in parts through Jinja templates; the built-in formats are in builtin_template_test.cpp.
#include <doctest/doctest.h>

#include "lib/io/mapped_file.h"
#include "lib/text/chat_template.h"

using namespace ponder::core;

namespace {

Result<RenderedChat> render(std::string_view source, const char* messages) {
  ChatInput input;
  input.messages = parse_json(messages, "messages").value();
  input.bos_token = "<B>";
  return ChatTemplate::parse(source).value()->render(input);
}

constexpr const char* kParts =
    R"([{"role": "user", "content": [{"type": "text", "text": " a"}, {"type": "text", "text": "b "}]}, {"role": "user", "content": "c"}])";
constexpr const char* kJoined = R"([{"role": "user", "content": " ab "}, {"role": "user", "content": "c"}])";
constexpr const char* kImage =
    R"([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image", "url": "u"}]}])";

// As templates of models with vision do it.
constexpr std::string_view kLoops =
    "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}"
    "{% if p.type == 'image' %}<image>{% else %}[{{ p.text }}]{% endif %}{% endfor %}{% endif %}{% endfor %}";

}  // namespace

TEST_CASE("content in parts: a template that knows strings alone gets them joined") {
  const auto file = read_file(std::string(PONDER_TEST_DATA) + "/chat/templates.json", 1 << 20);
  const Json templates = parse_json(file.value(), "templates.json").value();
  for (const Json::Member& entry : templates.as_object()) {
    CAPTURE(entry.first);
    const std::string& source = entry.second.find("template")->as_string();
    const auto parts = render(source, kParts), joined = render(source, kJoined);
    REQUIRE_MESSAGE(parts.ok(), parts.status().message());
    CHECK(parts->text == joined->text);
    CHECK(parts->text.find("ab") != std::string::npos);
    CHECK(parts->content.size() == joined->content.size());
    const Status status = render(source, kImage).status();
    CHECK(status.code() == Code::bad_template);
    CHECK(status.message().find("messages[0].content[1] is of type 'image'") != std::string::npos);
  }
  CHECK(render("{{ messages[0].content | tojson }}", kParts)->text == "\" ab \"");
  CHECK(render("{{ messages[0].content | trim }}", kParts)->text == "ab");
}

TEST_CASE("content in parts: a template that goes through parts gets them as they are") {
  CHECK(render(kLoops, kParts)->text == "[ a][b ]c");
  CHECK(render(kLoops, kImage)->text == "[a]<image>");
  CHECK(render("{% for p in messages[0].content | selectattr('type', 'equalto', 'text') %}{{ p['text'] }}|{% endfor %}", kParts)->text ==
        " a|b |");
}
