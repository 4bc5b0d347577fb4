// The published tokenizers against ids of other implementations (tests/data/tokenizer/README.md).
#include "tests/lib/text/published_tokenizers.h"

using namespace ponder::core;

namespace {

void check_golden(const std::string& name) {
  const Json golden = tokenizer_golden(name);
  if (const auto tokenizer = load_published(golden)) check_cases(tokenizer, golden);
}

void check_strings(const std::string& name) {
  if (const auto tokenizer = load_published(tokenizer_golden(name))) check_strings(*tokenizer, name);
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
