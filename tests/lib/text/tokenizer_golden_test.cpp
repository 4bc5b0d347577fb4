// The published tokenizers against ids of other implementations (tests/data/tokenizer/README.md).
#include <sstream>

#include "tests/lib/text/published_tokenizers.h"

using namespace ponder::core;

namespace {

std::vector<TokenId> ids_of(const Json& array) {
  std::vector<TokenId> ids;
  for (const Json& id : array.as_array()) ids.push_back(static_cast<TokenId>(id.as_int()));
  return ids;
}

void check_golden(const std::string& name) {
  const Json golden = tokenizer_golden(name);
  const auto tokenizer = load_published(golden);
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
  const auto tokenizer = load_published(tokenizer_golden(name));
  if (!tokenizer) return;
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
