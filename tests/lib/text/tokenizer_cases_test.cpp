// Small tokenizers against the Rust library (tests/data/make/make_tokenizer_cases.py).
#include <doctest/doctest.h>

#include "lib/io/mapped_file.h"
#include "lib/text/bpe.h"
#include "lib/text/pre_tokenizer.h"

using namespace ponder::core;

namespace {

const Json& cases() {
  static const Json json = [] {
    const auto text = read_file(std::string(PONDER_TEST_DATA) + "/tokenizer/cases.json", 1 << 20);
    return parse_json(text.value(), "cases.json").value();
  }();
  return json;
}

std::vector<TokenId> ids_of(const Json& array) {
  std::vector<TokenId> ids;
  for (const Json& id : array.as_array()) ids.push_back(static_cast<TokenId>(id.as_int()));
  return ids;
}

// The base tokenizer with some members replaced; of the model's vocabulary, added to.
std::string with(const Json& parts) {
  Json whole = *cases().find("base");
  for (const auto& [key, value] : parts.as_object()) {
    if (key != "model") {
      whole.set(key, value);
      continue;
    }
    Json& model = *whole.find("model");
    for (const auto& [name, member] : value.as_object())
      if (name == "vocab") {
        for (const auto& [token, id] : member.as_object()) model.find("vocab")->set(token, id);
      } else {
        model.set(name, member);
      }
  }
  return dump_json(whole);
}

// Without PCRE2 what needs it is refused, and that is checked instead.
bool needs_pcre2(const Status& status) {
  if (status.ok() || has_regular_expressions()) return false;
  CHECK(status.message().find("PONDER_PCRE2") != std::string::npos);
  return true;
}

}  // namespace

TEST_CASE("pre-tokenizers: every step, behaviour and order cuts as the Rust library does") {
  const auto& texts = cases().find("texts")->as_array();
  for (const Json& entry : cases().find("splits")->as_array()) {
    CAPTURE(dump_json(*entry.find("steps")));
    const auto pre_tokenizer = PreTokenizer::create(entry.find("steps"));
    if (needs_pcre2(pre_tokenizer.status())) continue;
    REQUIRE_MESSAGE(pre_tokenizer.ok(), pre_tokenizer.status().message());
    PreTokenizer::Scratch scratch;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::string& text = texts[i].as_string();
      CAPTURE(text);
      const auto pieces = pre_tokenizer->split(text, scratch);
      REQUIRE(pieces.ok());
      const auto& want = entry.find("results")->as_array()[i].as_array();
      CHECK(pieces->spans.size() == want.size());
      for (std::size_t k = 0; k < std::min(want.size(), pieces->spans.size()); ++k) {
        std::string bytes;
        REQUIRE(bytes_of_spelling(want[k].as_string(), bytes));
        const TextSpan span = pieces->spans[k];
        CHECK(pieces->text.substr(span.begin, span.end - span.begin) == bytes);
      }
    }
  }
  CHECK(cases().find("splits")->as_array().size() == 40);
}

TEST_CASE("tokenizer: flags of added tokens, normalisers and merges give the Rust library's ids") {
  for (const Json& entry : cases().find("tokenizers")->as_array()) {
    CAPTURE(dump_json(*entry.find("parts")));
    const std::string json = with(*entry.find("parts"));
    const auto tokenizer = Tokenizer::load({json, {}});
    if (needs_pcre2(tokenizer.status())) continue;
    REQUIRE_MESSAGE(tokenizer.ok(), tokenizer.status().message());
    for (const Json& result : entry.find("results")->as_array()) {
      const std::string& text = result.find("text")->as_string();
      CAPTURE(text);
      const std::vector<TokenId> want = ids_of(*result.find("ids"));
      CHECK(tokenizer.value()->encode(text, {.parse_special = true}).value() == want);
      CHECK(tokenizer.value()->decode(want, false).value() == result.find("decoded")->as_string());
      CHECK(tokenizer.value()->decode(want, true).value() == result.find("skipped")->as_string());
    }
  }
  CHECK(cases().find("tokenizers")->as_array().size() == 17);
}

namespace {

Result<std::shared_ptr<const Tokenizer>> load_with(std::string_view parts, std::string_view config = {}) {
  const std::string json = with(parse_json(parts, "parts").value());
  return Tokenizer::load({json, config});
}

// The members of model as they are, instead of the base's.
Status model_status(std::string_view model) {
  return Tokenizer::load({R"({"pre_tokenizer": {"type": "ByteLevel", "use_regex": false}, "model": )" + std::string(model) + "}", {}}).status();
}

void refused(const Status& status, Code code, std::string_view wanted) {
  CAPTURE(status.message());
  CAPTURE(wanted);
  CHECK(status.code() == code);
  CHECK(status.message().find(wanted) != std::string::npos);
}

}  // namespace

TEST_CASE("tokenizer: BOS of a TemplateProcessing, unless tokenizer_config.json says otherwise") {
  constexpr std::string_view kTemplate = R"({"added_tokens": [{"id": 300, "content": "<s>", "special": true}, {"id": 301, "content": "<t>"}],
    "post_processor": {"type": "Sequence", "processors": [{"type": "ByteLevel"}, {"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
      "special_tokens": {"<s>": {"id": "<s>", "ids": [300], "tokens": ["<s>"]}}}]}})";
  const auto plain = load_with(kTemplate).value();
  CHECK(plain->bos() == 300);
  CHECK(plain->bos_text() == "<s>");
  CHECK(plain->add_bos());
  CHECK(plain->encode("a", {.parse_special = true}).value() == std::vector<TokenId>{'a'});  // the caller adds it
  CHECK_FALSE(load_with(kTemplate, R"({"add_bos_token": false})").value()->add_bos());
  const auto other = load_with(kTemplate, R"({"bos_token": "<t>"})").value();
  CHECK(other->bos() == 301);
  CHECK_FALSE(other->add_bos());
  CHECK_FALSE(load_with(kTemplate, R"({"bos_token": null})").value()->bos().has_value());
  const auto without = load_with(R"({"post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}]}})").value();
  CHECK_FALSE(without->bos().has_value());
  CHECK_FALSE(without->add_bos());
}

TEST_CASE("tokenizer: what is no byte-level BPE is refused by name") {
  const auto unsupported = [](std::string_view parts, std::string_view wanted) {
    refused(load_with(parts).status(), Code::unsupported, wanted);
  };
  unsupported(R"({"model": {"type": "WordPiece"}})", "WordPiece");
  unsupported(R"({"model": {"type": "Unigram"}})", "Unigram");
  unsupported(R"({"model": {"dropout": 0.1}})", "model.dropout is 0.1");
  unsupported(R"({"model": {"continuing_subword_prefix": "##"}})", "continuing_subword_prefix");
  unsupported(R"({"model": {"end_of_word_suffix": "</w>"}})", "end_of_word_suffix");
  unsupported(R"({"normalizer": {"type": "Lowercase"}})", "normalizer Lowercase");
  unsupported(R"({"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Replace"}]}})", "Replace");
  unsupported(R"({"decoder": {"type": "WordPiece"}})", "decoder");
  unsupported(R"({"pre_tokenizer": null})", "ByteLevel");
  unsupported(R"({"pre_tokenizer": {"type": "Metaspace"}})", "Metaspace");
  unsupported(R"({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "ByteLevel", "use_regex": false}, {"type": "Digits"}]}})",
              "Digits behind ByteLevel");
  unsupported(R"({"pre_tokenizer": {"type": "Split", "pattern": {"String": "a"}, "behavior": "Isolate"}})", "Isolate");
  // They matter only when some byte of UTF-8 text has no token.
  CHECK(load_with(R"({"model": {"unk_token": "<unk>", "byte_fallback": true, "dropout": 0}})").ok());
  refused(model_status(R"({"vocab": {"a": 0}, "merges": [], "unk_token": "<unk>"})"), Code::unsupported, "unk_token");
  refused(model_status(R"({"vocab": {"a": 0}, "merges": [], "byte_fallback": true})"), Code::unsupported, "byte_fallback");
}

TEST_CASE("tokenizer: a vocabulary, merges or added tokens that make no sense are a bad file") {
  const auto bad_model = [](std::string_view model, std::string_view wanted) { refused(model_status(model), Code::bad_file, wanted); };
  bad_model(R"(5)", "model is integer");
  bad_model(R"({"merges": []})", "model.vocab is missing");
  bad_model(R"({"vocab": {"a": 0}})", "model.merges is missing");
  bad_model(R"({"vocab": {"a": 0}, "merges": null})", "model.merges is null");
  bad_model(R"({"vocab": ["a"], "merges": []})", "model.vocab is array");
  bad_model(R"({"vocab": {"a": 0}, "merges": {}})", "model.merges is object");
  bad_model(R"({"vocab": {"a": 0}, "vocab": {}, "merges": []})", "model.vocab is there twice");
  for (const char* id : {"\"0\"", "null", "true", "[0]", "{}", "1.5", "-1", "4194304", "1152921504606846976", "1e300", "99999999999999999999"})
    bad_model(R"({"vocab": {"a": )" + std::string(id) + R"(}, "merges": []})", "token 'a'");
  bad_model(R"({"vocab": {"a": 7, "b": 7}, "merges": []})", "has id 7");
  bad_model(R"({"vocab": {"a": 0, "a": 1}, "merges": []})", "twice");
  for (const char* merge : {"\"a\"", "\"a b c\"", "\"\"", "[\"a\"]", "[]", "[\"a\", \"b\", \"c\"]", "[[\"a\"]]", "5", "null", "{}", "[5, 6]", "\"a c\""})
    bad_model(R"({"vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [)" + std::string(merge) + "]}", "merge");
  bad_model(R"({"vocab": {"a": 0, "b": 1}, "merges": ["a b"]})", "lacks");
  const auto bad_parts = [](std::string_view parts, std::string_view wanted) { refused(load_with(parts).status(), Code::bad_file, wanted); };
  bad_parts(R"({"added_tokens": {}})", "added_tokens is object");
  for (const char* token : {"5", "{}", R"({"id": 300})", R"({"content": "<x>"})", R"({"id": -1, "content": "<x>"})", R"({"id": "5", "content": "<x>"})",
                            R"({"id": 1152921504606846976, "content": "<x>"})", R"({"id": 300, "content": null})"})
    bad_parts(R"({"added_tokens": [)" + std::string(token) + "]}", "added token");
  bad_parts(R"({"added_tokens": [{"id": 300, "content": "<x>", "special": 1}]})", "special is integer");
  bad_parts(R"({"added_tokens": [{"id": 300, "content": "<x>"}, {"id": 301, "content": "<x>"}]})", "the ids 300 and 301");
  bad_parts(R"({"added_tokens": [{"id": 300, "content": "<x>"}, {"id": 300, "content": "<y>"}]})", "share the id 300");
  bad_parts(R"({"added_tokens": [{"id": 300, "content": "ab"}]})", "has id 300, and 256");
  bad_parts(R"({"added_tokens": [{"id": 5, "content": "<x>"}]})", "another token has");
  bad_parts(R"({"pre_tokenizer": {"type": "Sequence"}})", "pretokenizers is missing");
  bad_parts(R"({"pre_tokenizer": {"type": "Split"}})", "pattern missing");
  bad_parts(R"({"pre_tokenizer": {"type": "ByteLevel", "use_regex": 1}})", "use_regex");
  refused(Tokenizer::load({"", {}}).status(), Code::bad_file, "tokenizer.json");
  refused(Tokenizer::load({"[]", {}}).status(), Code::bad_file, "model");
}

TEST_CASE("tokenizer: a file cut at any byte, or with a byte changed, is a status or a tokenizer that works") {
  const std::string whole = R"({"added_tokens": [{"id": 9, "content": "<x>", "special": true, "lstrip": true, "normalized": true}],
    "normalizer": {"type": "NFC"}, "decoder": {"type": "ByteLevel"},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"String": "b"}, "behavior": "MergedWithNext"},
      {"type": "ByteLevel", "use_regex": false, "add_prefix_space": true}]},
    "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<x>"}}]},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "\u0120": 5}, "merges": ["a b", ["ab", "c"]]}})";
  REQUIRE(Tokenizer::load({whole, {}}).ok());
  for (std::size_t n = 0; n < whole.size(); ++n) CHECK_FALSE(Tokenizer::load({whole.substr(0, n), {}}).ok());
  int n_loaded = 0;
  for (std::size_t n = 0; n < whole.size(); ++n)
    for (const char c : {'\0', '"', '}', ']', ',', '9', '-', 'x', '\xff'}) {
      std::string changed = whole;
      changed[n] = c;
      const auto tokenizer = Tokenizer::load({changed, {}});
      if (!tokenizer.ok()) {
        CHECK_FALSE(tokenizer.status().message().empty());
        continue;
      }
      ++n_loaded;
      const auto ids = tokenizer.value()->encode("abcab <x>c", {.parse_special = true});
      if (ids.ok()) CHECK(tokenizer.value()->decode(*ids, false).ok());
    }
  CHECK(n_loaded > 100);
}
