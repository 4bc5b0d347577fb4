// The published tokenizers against ids of other implementations (tests/data/tokenizer/README.md).
#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>

#include "lib/io/json.h"
#include "lib/io/mapped_file.h"
#include "lib/text/pattern.h"
#include "lib/text/tokenizer.h"

using namespace ponder::core;

namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 26;

std::string data(const std::string& name) { return read_file(std::string(PONDER_TEST_DATA) + "/tokenizer/" + name, kMaxBytes).value(); }
Json json(const std::string& name) { return parse_json(data(name), name).value(); }

// The published file with the golden's overlay: only its added_tokens are taken apart.
std::string tokenizer_json(const Json& golden) {
  std::string text = read_file(std::string(PONDER_TEST_BUILD_DATA) + "/tokenizer/" +
                                   golden.find("base_tokenizer_json")->as_string() + ".tokenizer.json",
                               kMaxBytes).value();
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

// The tokenizer of a golden file; null, after checking the refusal, in a build without regular expressions.
std::shared_ptr<const Tokenizer> load(const Json& golden) {
  auto tokenizer = Tokenizer::load({tokenizer_json(golden), {}});
  if (pattern_unicode_version().empty()) {
    CHECK(tokenizer.status().code() == Code::unsupported);
    CHECK(tokenizer.status().message().find("PONDER_PCRE2") != std::string::npos);
    MESSAGE("skipped: built with PONDER_PCRE2=OFF");
    return nullptr;
  }
  REQUIRE_MESSAGE(tokenizer.ok(), tokenizer.status().message());
  return *tokenizer;
}

std::vector<TokenId> ids_of(const Json& array) {
  std::vector<TokenId> ids;
  for (const Json& id : array.as_array()) ids.push_back(static_cast<TokenId>(id.as_int()));
  return ids;
}

void check_golden(const std::string& name) {
  const Json golden = json(name + ".golden.json");
  const auto tokenizer = load(golden);
  if (!tokenizer) return;
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

// The strings of llama.cpp's tokenizer tests.
void check_strings(const std::string& name) {
  const auto tokenizer = load(json(name + ".golden.json"));
  if (!tokenizer) return;
  const std::string strings = data("strings.inp");
  std::istringstream lines(data(name + ".out"));
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
    CHECK(tokenizer->encode(text, {}).value() == want);
    at = end + kSeparator.size();
  }
  CHECK(n == 46);
}

}  // namespace

TEST_CASE("tokenizer goldens: DeepSeek-V3") { check_golden("deepseek_v3"); }
TEST_CASE("tokenizer goldens: DeepSeek-R1") { check_golden("deepseek_r1"); }
TEST_CASE("tokenizer goldens: Qwen2.5") { check_golden("qwen2_5"); }
TEST_CASE("tokenizer goldens: R1-Distill-Qwen") { check_golden("r1_distill_qwen"); }
TEST_CASE("tokenizer goldens: Llama 3") { check_golden("llama3"); }
TEST_CASE("tokenizer goldens: R1-Distill-Llama") { check_golden("r1_distill_llama"); }
TEST_CASE("tokenizer goldens: llama.cpp's strings for Qwen2") { check_strings("qwen2_5"); }
TEST_CASE("tokenizer goldens: llama.cpp's strings for Llama 3") { check_strings("llama3"); }
