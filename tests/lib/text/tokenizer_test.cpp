#include <doctest/doctest.h>

#include "lib/io/file_source.h"
#include "lib/text/tokenizer.h"

using namespace ponder::core;

namespace {

std::shared_ptr<const Tokenizer> tiny() {
  auto source = folder_source(std::string(PONDER_MODELS) + "/ponder-tiny-r1");
  auto json = source->open("tokenizer.json"), config = source->open("tokenizer_config.json");
  REQUIRE(json.ok());
  REQUIRE(config.ok());
  auto tokenizer = Tokenizer::load({json->text(), config->text()});
  REQUIRE_MESSAGE(tokenizer.ok(), tokenizer.status().message());
  return *tokenizer;
}

Result<std::shared_ptr<const Tokenizer>> load(std::string_view json) { return Tokenizer::load({json, {}}); }

// Vocabulary of single bytes a, b, c and the merges ab, abc.
constexpr std::string_view kSmall = R"({"added_tokens": [{"id": 9, "content": "<x>", "special": true}],
  "pre_tokenizer": {"type": "ByteLevel", "use_regex": false},
  "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4}, "merges": ["a b", ["ab", "c"]]}})";

}  // namespace

TEST_CASE("tokenizer: the tiny model's ids, special tokens recognised only when asked") {
  const auto t = tiny();
  const std::string text = "<think>7+5";
  CHECK(t->encode(text, {.parse_special = true}).value() == std::vector<TokenId>{260, 55, 43, 53});
  CHECK(t->encode(text, {}).value().size() == text.size());
  CHECK(t->bos() == 256);
  CHECK(t->eos() == 257);
  CHECK(t->add_bos());
  CHECK(t->find("</think>") == 261);
  CHECK(t->is_special(256));
  CHECK_FALSE(t->is_special(260));
}

TEST_CASE("tokenizer: a content span cannot become an added token, the text around it can") {
  const auto t = tiny();
  const std::string text = "<think><think>a";
  const TextSpan content[] = {{7, 15}};
  const auto ids = t->encode_with_content(text, content).value();
  CHECK(ids.size() == 1 + 8);
  CHECK(ids[0] == 260);
  CHECK(ids[1] == '<');
  CHECK(t->decode(ids, false).value() == text);
}

TEST_CASE("tokenizer: merges go by rank, both spellings of a merge are read") {
  auto t = load(kSmall);
  REQUIRE_MESSAGE(t.ok(), t.status().message());
  CHECK((*t)->encode("abcab", {}).value() == std::vector<TokenId>{4, 3});
  CHECK((*t)->encode("", {}).value().empty());
  CHECK((*t)->decode(std::vector<TokenId>{4, 9}, true).value() == "abc");
  CHECK((*t)->decode(std::vector<TokenId>{4, 9}, false).value() == "abc<x>");
}

TEST_CASE("tokenizer: an id without a token and invalid UTF-8 are refused by name") {
  const auto t = tiny();
  CHECK(t->decode(std::vector<TokenId>{1000}, false).status().message().find("1000") != std::string::npos);
  CHECK(t->decode(std::vector<TokenId>{-1}, false).status().code() == Code::invalid_argument);
  CHECK(t->encode("a\xff", {}).status().code() == Code::invalid_argument);
}

TEST_CASE("tokenizer: U+0000 and a million bytes are ordinary text") {
  const auto t = tiny();
  CHECK(t->encode(std::string_view("\0a", 2), {}).value().size() == 2);
  CHECK(t->encode(std::string(1000000, ' '), {}).value().size() == 1000000);
}

TEST_CASE("tokenizer: broken files are refused with a status") {
  CHECK(load("{}").status().code() == Code::bad_file);
  CHECK(load(R"({"model": {"type": "WordPiece", "vocab": {}, "merges": []}})").status().code() == Code::unsupported);
  CHECK(load(R"({"model": {"vocab": {"a": 1152921504606846976}, "merges": []}})").status().code() == Code::bad_file);
  CHECK(load(R"({"model": {"vocab": {"a": -1}, "merges": []}})").status().code() == Code::bad_file);
  CHECK(load(R"({"model": {"vocab": {"a": 0, "b": 0}, "merges": []}})").status().code() == Code::bad_file);
  CHECK(load(R"({"model": {"vocab": {"a": 0}, "merges": ["a b"]}})").status().code() == Code::bad_file);
  CHECK(load(R"({"normalizer": {"type": "Lowercase"}, "model": {"vocab": {}, "merges": []}})").status().message().find(
            "Lowercase") != std::string::npos);
  for (std::size_t n = 0; n < kSmall.size(); ++n) CHECK_FALSE(load(kSmall.substr(0, n)).ok());
}

TEST_CASE("detokenizer: never cuts a character, and pieces joined equal the text at once") {
  const auto t = tiny();
  const std::string text = "\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80!";
  const auto ids = t->encode(text, {}).value();
  Detokenizer detokenizer(t);
  std::string joined;
  for (TokenId id : ids) {
    const std::string piece(detokenizer.push(id));
    CHECK(t->encode(piece, {}).ok());  // valid UTF-8
    joined += piece;
  }
  joined += detokenizer.finish();
  CHECK(joined == text);
  (void)detokenizer.push(0xe6);
  CHECK(detokenizer.finish() == "\xef\xbf\xbd");
}
