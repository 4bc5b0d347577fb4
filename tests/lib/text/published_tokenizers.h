// The published tokenizers with the added tokens of each model (tests/data/tokenizer/README.md).
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>

#include "lib/io/json.h"
#include "lib/io/mapped_file.h"
#include "lib/text/pattern.h"
#include "lib/text/tokenizer.h"

namespace ponder::core {

constexpr std::size_t kMaxTokenizerBytes = std::size_t{1} << 26;

inline std::string tokenizer_data(const std::string& name) {
  return read_file(std::string(PONDER_TEST_DATA) + "/tokenizer/" + name, kMaxTokenizerBytes).value();
}
inline Json tokenizer_golden(const std::string& name) {
  return parse_json(tokenizer_data(name + ".golden.json"), name).value();
}

// The published file with the golden's overlay: only its added_tokens are taken apart.
inline std::string tokenizer_json(const Json& golden) {
  std::string text = read_file(std::string(PONDER_TEST_BUILD_DATA) + "/tokenizer/" +
                                   golden.find("base_tokenizer_json")->as_string() + ".tokenizer.json",
                               kMaxTokenizerBytes).value();
  const std::size_t begin = text.find('[', text.find("\"added_tokens\""));
  const std::size_t end = text.rfind(']', text.find("\"normalizer\"")) + 1;
  Json added = parse_json(text.substr(begin, end - begin), "added_tokens").value();
  for (const auto& [id, replacement] : golden.find("added_token_overlay")->as_object()) {
    auto& all = added.as_array();
    const auto entry = std::find_if(all.begin(), all.end(), [&, wanted = std::stoll(id)](const Json& token) {
      return token.find("id")->as_int() == wanted;
    });
    if (entry == all.end()) all.push_back(Json(Json::Object{{"id", Json(std::int64_t{std::stoll(id)})}}));
    Json& token = entry == all.end() ? all.back() : *entry;
    for (const auto& [key, value] : replacement.as_object()) token.set(key, value);
  }
  return text.replace(begin, end - begin, dump_json(added));
}

inline std::shared_ptr<const Tokenizer> load_published(const Json& golden) {
  auto tokenizer = Tokenizer::load({tokenizer_json(golden), {}});
  REQUIRE_MESSAGE(tokenizer.ok(), tokenizer.status().message());
  return *tokenizer;
}

inline std::vector<TokenId> ids_of(const Json& array) {
  std::vector<TokenId> ids;
  for (const Json& id : array.as_array()) ids.push_back(static_cast<TokenId>(id.as_int()));
  return ids;
}

// All cases of a golden file, streaming and decoding included.
inline void check_cases(const std::shared_ptr<const Tokenizer>& tokenizer, const Json& golden) {
  for (const Json& entry : golden.find("cases")->as_array()) {
    const std::string& text = entry.find("text")->as_string();
    const std::vector<TokenId> ids = ids_of(*entry.find("ids"));
    CAPTURE(text);
    const auto encoded = tokenizer->encode(text, {.parse_special = true});
    REQUIRE_MESSAGE(encoded.ok(), encoded.status().message());
    CHECK(*encoded == ids);
    const Json* decoded = entry.find("decoded");
    CHECK(tokenizer->decode(ids, false).value() == (decoded ? decoded->as_string() : text));
    const Json* skipped = entry.find("decoded_skip_special");
    CHECK(tokenizer->decode(ids, true).value() == (skipped ? skipped : decoded ? decoded : entry.find("text"))->as_string());
    Detokenizer detokenizer(tokenizer, false);
    std::string streamed;
    for (const TokenId id : ids) streamed += detokenizer.push(id);
    streamed += detokenizer.finish();
    CHECK(streamed == (decoded ? decoded->as_string() : text));
  }
  for (const Json& entry : golden.find("decode_only")->as_array())
    CHECK(tokenizer->decode(ids_of(*entry.find("ids")), false).value() == entry.find("text")->as_string());
  CHECK(golden.find("cases")->as_array().size() == 211);
}

// The strings of llama.cpp's tokenizer tests, ids in `name`.out.
inline void check_strings(const Tokenizer& tokenizer, const std::string& name) {
  const std::string strings = tokenizer_data("strings.inp");
  std::istringstream lines(tokenizer_data(name + ".out"));
  constexpr std::string_view kSeparator = "\n__ggml_vocab_test__\n";
  int n = 0;
  for (std::size_t at = 0; at < strings.size(); ++n) {
    const std::size_t end = strings.find(kSeparator, at);
    REQUIRE(end != strings.npos);
    std::string line;
    std::getline(lines, line);
    std::istringstream numbers(line);
    std::vector<TokenId> want;
    for (TokenId id; numbers >> id;) want.push_back(id);
    const std::string text = strings.substr(at, end - at);
    CAPTURE(text);
    CHECK(tokenizer.encode(text, {}).value() == want);
    at = end + kSeparator.size();
  }
  CHECK(n == 46);
}

}  // namespace ponder::core
