// Tokenizers and chat templates by themselves.
#include <fstream>

#include "tests/capi/capi_fixture.h"

using namespace capi_test;

namespace {

Tokenizer load_tokenizer(const std::string& path = kTiny) {
  ponder_tokenizer* tokenizer = nullptr;
  ponder_error err;
  REQUIRE_MESSAGE(ponder_tokenizer_load(path.c_str(), &tokenizer, &err) == PONDER_OK, err.message);
  return Tokenizer(tokenizer);
}

std::vector<std::int32_t> encode(const ponder_tokenizer* tokenizer, std::string_view text, std::uint32_t flags = 0) {
  std::size_t count = 0;
  ponder_error err;
  REQUIRE(ponder_tokenizer_encode(tokenizer, text.data(), text.size(), flags, nullptr, 0, &count, &err) == PONDER_OK);
  std::vector<std::int32_t> ids(count);
  REQUIRE(ponder_tokenizer_encode(tokenizer, text.data(), text.size(), flags, ids.data(), ids.size(), &count, &err) == PONDER_OK);
  REQUIRE(count == ids.size());
  return ids;
}

std::string decode(const ponder_tokenizer* tokenizer, const std::vector<std::int32_t>& ids, std::uint32_t flags = 0) {
  ponder_buffer* text = nullptr;
  ponder_error err;
  REQUIRE_MESSAGE(ponder_tokenizer_decode(tokenizer, ids.data(), ids.size(), flags, &text, &err) == PONDER_OK, err.message);
  return text_of(text);
}

Template builtin(const char* name) {
  ponder_template* chat_template = nullptr;
  ponder_error err;
  REQUIRE(ponder_template_builtin(name, &chat_template, &err) == PONDER_OK);
  return Template(chat_template);
}

ponder_status render(const ponder_template* t, std::string_view messages, std::string& out, ponder_error& err,
                     std::uint32_t flags = 0, const char* kwargs = nullptr) {
  ponder_buffer* text = nullptr;
  const ponder_status status = ponder_template_render(t, messages.data(), messages.size(), kwargs,
                                                      kwargs ? std::string_view(kwargs).size() : 0, flags, &text, &err);
  CHECK((text == nullptr) == (status < 0));
  if (status == PONDER_OK) out = text_of(text);
  return status;
}

}  // namespace

TEST_CASE("a tokenizer says its special ids") {
  const Tokenizer tokenizer = load_tokenizer();
  ponder_tokenizer_info info{};
  info.struct_size = sizeof info;
  ponder_error err;
  REQUIRE(ponder_tokenizer_get_info(tokenizer.get(), &info, &err) == PONDER_OK);
  CHECK(info.n_ids == 263);
  CHECK(info.bos_token_id == 256);
  CHECK(info.eos_token_id == 257);
  CHECK(info.think_start_id == 260);
  CHECK(info.think_end_id == 261);
  CHECK(info.has_chat_template == 1);
  info.struct_size = 5000;
  check_error(ponder_tokenizer_get_info(tokenizer.get(), &info, &err), err, PONDER_E_INVALID_ARGUMENT, {"ponder_tokenizer_info"});
}

TEST_CASE("a tokenizer loads from a folder and from its file") {
  const Tokenizer folder = load_tokenizer(), file = load_tokenizer(kTiny + "/tokenizer.json");
  CHECK(encode(folder.get(), "1+1", PONDER_ENCODE_BOS) == encode(file.get(), "1+1", PONDER_ENCODE_BOS));
  ponder_tokenizer* none = nullptr;
  ponder_error err;
  check_error(ponder_tokenizer_load("/no/such/folder", &none, &err), err, PONDER_E_NOT_FOUND, {"/no/such/folder"});
  check_error(ponder_tokenizer_load((kTiny + "/config.json").c_str(), &none, &err), err, PONDER_E_BAD_FILE, {"tokenizer.json"});
  CHECK(none == nullptr);
}

TEST_CASE("special tokens are recognised on request only, and skipped on request") {
  const Tokenizer tokenizer = load_tokenizer();
  CHECK(encode(tokenizer.get(), "a<think>", PONDER_ENCODE_SPECIAL) == std::vector<std::int32_t>{'a', 260});
  CHECK(encode(tokenizer.get(), "a<think>").size() == 8);
  CHECK(encode(tokenizer.get(), "", PONDER_ENCODE_BOS) == std::vector<std::int32_t>{256});
  CHECK(decode(tokenizer.get(), {256, 'a', 260}, PONDER_DECODE_SKIP_SPECIAL).find("begin") == std::string::npos);
  CHECK(decode(tokenizer.get(), {256, 'a'}).find("begin") != std::string::npos);
}

TEST_CASE("text may be empty, hold U+0000, and must be UTF-8") {
  const Tokenizer tokenizer = load_tokenizer();
  CHECK(encode(tokenizer.get(), "").empty());
  CHECK(encode(tokenizer.get(), std::string_view("a\0b", 3)) == std::vector<std::int32_t>{'a', 0, 'b'});
  CHECK(decode(tokenizer.get(), {'a', 0, 'b'}) == std::string_view("a\0b", 3));
  CHECK(decode(tokenizer.get(), {}).empty());
  CHECK(decode(tokenizer.get(), {0xe2, 0x82}) == "\xef\xbf\xbd");
  std::size_t count = 0;
  ponder_error err;
  check_error(ponder_tokenizer_encode(tokenizer.get(), "\xff", 1, 0, nullptr, 0, &count, &err), err, PONDER_E_INVALID_ARGUMENT, {"UTF-8"});
}

TEST_CASE("encode and decode refuse unknown flags, ids without a token and arrays too small") {
  const Tokenizer tokenizer = load_tokenizer();
  std::size_t count = 0;
  ponder_error err;
  ponder_buffer* text = nullptr;
  std::int32_t ids[] = {-5, -5};
  check_error(ponder_tokenizer_encode(tokenizer.get(), "abc", 3, 8, ids, 2, &count, &err), err, PONDER_E_INVALID_ARGUMENT, {"flags", "8"});
  check_error(ponder_tokenizer_encode(tokenizer.get(), "abc", 3, 0, ids, 2, &count, &err), err, PONDER_E_BUFFER_TOO_SMALL, {"3", "2"});
  CHECK(count == 3);
  CHECK(ids[0] == -5);
  check_error(ponder_tokenizer_decode(tokenizer.get(), ids, 1, 0, &text, &err), err, PONDER_E_INVALID_ARGUMENT, {"-5"});
  ids[0] = 264;
  check_error(ponder_tokenizer_decode(tokenizer.get(), ids, 1, 0, &text, &err), err, PONDER_E_INVALID_ARGUMENT, {"264"});
  check_error(ponder_tokenizer_decode(tokenizer.get(), ids, 0, 2, &text, &err), err, PONDER_E_INVALID_ARGUMENT, {"flags", "2"});
}

TEST_CASE("one token is found by its text and read by its id") {
  const Tokenizer tokenizer = load_tokenizer();
  ponder_error err;
  std::int32_t id = -9;
  REQUIRE(ponder_tokenizer_find(tokenizer.get(), "</think>", 8, &id, &err) == PONDER_OK);
  CHECK(id == 261);
  check_error(ponder_tokenizer_find(tokenizer.get(), "hello", 5, &id, &err), err, PONDER_E_NOT_FOUND, {"hello"});
  const char* bytes = nullptr;
  std::size_t size = 0;
  std::uint32_t flags = 99;
  REQUIRE(ponder_tokenizer_token(tokenizer.get(), 261, &bytes, &size, &flags, &err) == PONDER_OK);
  CHECK(std::string_view(bytes, size) == "</think>");
  CHECK((flags & PONDER_TOKEN_ADDED) != 0);
  REQUIRE(ponder_tokenizer_token(tokenizer.get(), 'x', &bytes, &size, &flags, &err) == PONDER_OK);
  CHECK(std::string_view(bytes, size) == "x");
  CHECK(flags == 0);
  for (std::int32_t bad : {-1, 264, INT32_MAX, INT32_MIN})
    check_error(ponder_tokenizer_token(tokenizer.get(), bad, &bytes, &size, nullptr, &err), err, PONDER_E_NOT_FOUND);
}

TEST_CASE("a model's tokenizer outlives its model") {
  ponder_tokenizer* handle = nullptr;
  {
    const Tiny tiny;
    ponder_error err;
    REQUIRE(ponder_model_tokenizer(tiny.model.get(), &handle, &err) == PONDER_OK);
  }
  const Tokenizer tokenizer(handle);
  CHECK(encode(handle, "7") == std::vector<std::int32_t>{'7'});
}

TEST_CASE("built-in templates render both forms of messages") {
  const Template r1 = builtin("deepseek-r1");
  ponder_error err;
  std::string array, object, closed;
  REQUIRE(render(r1.get(), R"([{"role":"user","content":"hi"}])", array, err) == PONDER_OK);
  CHECK(array == "<｜begin▁of▁sentence｜><｜User｜>hi<｜Assistant｜><think>\n");
  REQUIRE(render(r1.get(), R"({"messages":[{"role":"user","content":"hi"}],"name":"ignored"})", object, err) == PONDER_OK);
  CHECK(object == array);
  REQUIRE(render(r1.get(), R"({"messages":[{"role":"user","content":"hi"}],"add_generation_prompt":false})", closed, err) == PONDER_OK);
  CHECK(closed == "<｜begin▁of▁sentence｜><｜User｜>hi");
  REQUIRE(render(r1.get(), R"([{"role":"user","content":"hi"}])", closed, err, PONDER_CHAT_NO_GENERATION_PROMPT) == PONDER_OK);
  CHECK(closed == "<｜begin▁of▁sentence｜><｜User｜>hi");
}

TEST_CASE("messages that are none are refused with what was wanted") {
  const Template r1 = builtin("deepseek-r1");
  ponder_error err;
  std::string out;
  check_error(render(r1.get(), "", out, err), err, PONDER_E_INVALID_ARGUMENT, {"messages_json"});
  check_error(render(r1.get(), "[{]", out, err), err, PONDER_E_INVALID_ARGUMENT, {"messages_json"});
  check_error(render(r1.get(), "3", out, err), err, PONDER_E_INVALID_ARGUMENT, {"messages_json", "integer", "array"});
  check_error(render(r1.get(), "{}", out, err), err, PONDER_E_INVALID_ARGUMENT, {"messages"});
  check_error(render(r1.get(), R"({"messages":[],"tools":3})", out, err), err, PONDER_E_INVALID_ARGUMENT, {"tools", "array"});
  check_error(render(r1.get(), R"({"messages":[],"add_generation_prompt":1})", out, err), err, PONDER_E_INVALID_ARGUMENT,
              {"add_generation_prompt", "boolean"});
  check_error(render(r1.get(), R"([{"role":"clown","content":"hi"}])", out, err), err, PONDER_E_TEMPLATE, {"clown"});
  check_error(render(r1.get(), "[]", out, err, 0, "[]"), err, PONDER_E_INVALID_ARGUMENT, {"kwargs_json", "object"});
  check_error(render(r1.get(), "[]", out, err, 0, "{"), err, PONDER_E_INVALID_ARGUMENT, {"kwargs_json"});
  check_error(render(r1.get(), "[]", out, err, PONDER_CHAT_TRUST_CONTENT), err, PONDER_E_INVALID_ARGUMENT, {"flags"});
  ponder_template* none = nullptr;
  check_error(ponder_template_builtin("gpt", &none, &err), err, PONDER_E_NOT_FOUND, {"gpt", "deepseek-r1"});
}

TEST_CASE("a folder without a template says where it looked") {
  ponder_template* none = nullptr;
  ponder_error err;
  check_error(ponder_template_load(PONDER_TEST_DATA "/models/llama3-tiny", &none, &err), err, PONDER_E_NOT_FOUND,
              {"llama3-tiny", "tokenizer_config.json", "chat_template.jinja"});
  CHECK(none == nullptr);
}
