// Which chat template a loaded model uses.
#include <doctest/doctest.h>

#include "lib/io/mapped_file.h"
#include "tests/lib/model/editable_checkpoint.h"

using namespace ponder;
using namespace ponder::core;

namespace {

struct Fixture {
  explicit Fixture(const char* model = "v3-tiny") : editable(model) {}
  test::Editable editable;
  test::Files files = editable.files();
  std::string tokenizer_json = *read_file(std::string(PONDER_MODELS) + "/ponder-tiny-r1/tokenizer.json", 16 << 20);

  void rename(const std::string& from, const std::string& to) {
    for (std::size_t at = 0; (at = tokenizer_json.find(from, at)) != std::string::npos; at += to.size())
      tokenizer_json.replace(at, from.size(), to);
  }

  std::shared_ptr<const Model> load(const char* tokenizer_config, const char* jinja_file = nullptr) {
    files["tokenizer.json"] = tokenizer_json;
    files["tokenizer_config.json"] = tokenizer_config;
    if (jinja_file) files["chat_template.jinja"] = jinja_file;
    auto model = test::load_files(files);
    REQUIRE_MESSAGE(model.ok(), model.status().message());
    return std::move(model).value();
  }
};

std::string text_of(const Model& model, Json tools = {}) {
  REQUIRE(model.chat_template());
  ChatInput input;
  input.messages = parse_json(R"([{"role": "user", "content": "Q"}])", "messages").value();
  input.tools = std::move(tools);
  const auto rendered = model.chat_template()->render(input);
  REQUIRE_MESSAGE(rendered.ok(), rendered.status().message());
  return rendered->text;
}

bool warns(const Model& model, std::string_view text) {
  for (const std::string& warning : model.load_report().warnings)
    if (warning.find(text) != warning.npos) return true;
  return false;
}

}  // namespace

TEST_CASE("chat template: the one of tokenizer_config.json is used") {
  CHECK(text_of(*Fixture().load(R"({"chat_template": "own {{ messages[0].content }}"})")) == "own Q");
}

TEST_CASE("chat template: chat_template.jinja goes before tokenizer_config.json") {
  CHECK(text_of(*Fixture().load(R"({"chat_template": "config"})", "file {{ messages[0].content }}")) == "file Q");
}

TEST_CASE("chat template: of a list, 'tool_use' is for chats with tools and 'default' for the others") {
  const auto model = Fixture().load(
      R"({"chat_template": [{"name": "rag", "template": "r"}, {"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]})");
  CHECK(text_of(*model) == "d");
  CHECK(text_of(*model, Json(Json::Array())) == "t");
}

TEST_CASE("chat template: one that does not parse is a warning, and the built-in format takes its place") {
  const auto model = Fixture().load(R"({"bos_token": null, "chat_template": "a\n{% nope %}"})");
  CHECK(warns(*model, "line 2: unknown tag 'nope'"));
  CHECK(warns(*model, "the built-in deepseek-r1 is"));
  CHECK(text_of(*model) == "<｜User｜>Q<｜Assistant｜><think>\n");
}

TEST_CASE("chat template: without one, V3 with think tokens is R1, and without turn markers there is no format") {
  Fixture checkpoint;
  CHECK(text_of(*checkpoint.load("{}")) == "<｜User｜>Q<｜Assistant｜><think>\n");
  checkpoint.rename("<think>", "<thunk>");
  CHECK(text_of(*checkpoint.load("{}")) == "<｜User｜>Q<｜Assistant｜>");
  checkpoint.rename("<｜User｜>", "<｜Uzer｜>");
  const auto model = checkpoint.load("{}");
  CHECK(model->chat_template() == nullptr);
  CHECK(model->chat_template_status().code() == Code::not_found);
  const auto broken = checkpoint.load(R"({"chat_template": "{{"})");
  CHECK(broken->chat_template() == nullptr);
  CHECK(broken->chat_template_status().code() == Code::bad_template);
}

TEST_CASE("chat template: without one, V2 has its labels, and with turn markers V3's format") {
  Fixture checkpoint("v2-tiny");
  CHECK(text_of(*checkpoint.load("{}")) == "<｜User｜>Q<｜Assistant｜>");
  checkpoint.rename("<｜User｜>", "<｜Uzer｜>");
  CHECK(text_of(*checkpoint.load("{}")) == "User: Q\n\nAssistant:");
  checkpoint.rename("<｜end▁of▁sentence｜>", "<｜eos｜>");
  CHECK(checkpoint.load("{}")->chat_template_status().code() == Code::not_found);
}
