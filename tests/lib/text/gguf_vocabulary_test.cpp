#include "lib/text/gguf_vocabulary.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "lib/io/mapped_file.h"
#include "lib/text/pattern.h"
#include "lib/text/tokenizer.h"

using namespace ponder::core;

namespace {

std::string tokenizer_json(const std::string& name) {
  auto text = read_file(std::string(PONDER_TEST_BUILD_DATA "/tokenizer/") + name + ".tokenizer.json", std::size_t{1} << 28);
  REQUIRE_MESSAGE(text.ok(), text.status().message());
  return std::move(text).value();
}

// A small one, with the given pre_tokenizer.
std::string small(const std::string& pre_tokenizer, const std::string& model_more = "", const std::string& more = "") {
  return R"({"added_tokens":[{"id":4,"content":"<think>","special":false},{"id":5,"content":"<s>","special":true},
    {"id":6,"content":"<|im_end|>","special":false}],"normalizer":null,"pre_tokenizer":)" + pre_tokenizer + more +
         R"(,"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"])" + model_more + "}}";
}
const std::string kGpt2 = R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":true})";

}  // namespace

TEST_CASE("gguf vocabulary: the pre-tokenizers of the official tokenizers have llama.cpp's names") {
  const std::pair<const char*, const char*> names[] = {
      {"deepseek_v3", "deepseek-v3"}, {"qwen2_5", "qwen2"}, {"llama3", "llama-bpe"}};
  for (const auto& known : names) {
    const std::string file = known.first;
    CAPTURE(file);
    const std::string json = tokenizer_json(file);
    const auto tokenizer = Tokenizer::load({json, ""});
    REQUIRE_MESSAGE(tokenizer.ok(), tokenizer.status().message());
    const std::size_t n = (*tokenizer)->n_ids() + 10;
    const auto vocabulary = read_gguf_vocabulary(json, n);
    REQUIRE_MESSAGE(vocabulary.ok(), vocabulary.status().message());
    CHECK(vocabulary->pre == known.second);
    CHECK(vocabulary->tokens.size() == n);
    CHECK(vocabulary->token_types.size() == n);
    CHECK(vocabulary->merges.size() > 100000);
    for (std::size_t i = 0; i < n; ++i) {
      const auto id = static_cast<TokenId>(i);
      if (!(*tokenizer)->has_token(id)) CHECK(vocabulary->tokens[i] == "[PAD" + std::to_string(i) + "]");
      if ((*tokenizer)->has_token(id) && (*tokenizer)->is_added(id))
        CHECK(vocabulary->tokens[i] == (*tokenizer)->token_bytes(id));
    }
  }
}

TEST_CASE("gguf vocabulary: the kinds of tokens") {
  const auto v = read_gguf_vocabulary(small(kGpt2), 8);
  REQUIRE_MESSAGE(v.ok(), v.status().message());
  CHECK(v->pre == "gpt-2");
  CHECK(v->tokens == std::vector<std::string>{"a", "b", "ab", "[PAD3]", "<think>", "<s>", "<|im_end|>", "[PAD7]"});
  CHECK(v->token_types == std::vector<std::int64_t>{1, 1, 1, 5, 4, 3, 3, 5});
  CHECK(v->merges == std::vector<std::string>{"a b"});
}

TEST_CASE("gguf vocabulary: single digits in front of GPT-2's pattern are smollm") {
  const auto v = read_gguf_vocabulary(
      small(R"({"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},)" + kGpt2 + "]}"), 7);
  REQUIRE(v.ok());
  CHECK(v->pre == "smollm");
}

TEST_CASE("gguf vocabulary: what changes the tokens and has no name is refused") {
  const auto refused = [](const std::string& json) {
    const Status status = read_gguf_vocabulary(json, 7).status();
    CHECK(status.code() == Code::unsupported);
    return status.message().starts_with("tokenizer.json: a pre_tokenizer or normalizer that GGUF has no name for: ");
  };
  CHECK(refused(small(R"({"type":"Whitespace"})")));
  CHECK(refused(small(R"({"type":"ByteLevel","add_prefix_space":true,"use_regex":true})")));
  CHECK(refused(small(R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":false})")));  // merges across words
  CHECK(refused(small(R"({"type":"Split","pattern":{"Regex":"x+"},"behavior":"Isolated"})")));
  CHECK(refused(small(kGpt2, R"(,"ignore_merges":true)")));
  CHECK(refused(small(kGpt2, "", R"(,"normalizer":{"type":"NFC"})")));
  CHECK(refused(small("null")));
}

TEST_CASE("gguf vocabulary: merges in pairs, and ones that are none") {
  const auto with = [](const std::string& merge) {
    return read_gguf_vocabulary(R"({"pre_tokenizer":)" + kGpt2 + R"(,"model":{"type":"BPE","vocab":{"a":0},"merges":[)" +
                                    merge + "]}}",
                                1);
  };
  CHECK(with(R"(["a","b"])")->merges == std::vector<std::string>{"a b"});
  for (const char* wrong : {"\"ab\"", "\"a b c\"", "[\"a\"]", "[\"a\",1]", "[\"a \",\"b\"]", "7"})
    CHECK(with(wrong).status().code() == Code::bad_file);
}

TEST_CASE("gguf vocabulary: ids beyond the model's vocabulary and other models are refused") {
  CHECK(read_gguf_vocabulary(small(kGpt2), 6).status().message() ==
        "tokenizer.json: token '<|im_end|>' has id 6, the model has 6 tokens");
  CHECK(read_gguf_vocabulary(R"({"model":{"type":"Unigram","vocab":[]}})", 6).status().code() == Code::unsupported);
  CHECK(read_gguf_vocabulary("{}", 6).status().code() == Code::unsupported);
  CHECK(read_gguf_vocabulary("{", 6).status().code() == Code::bad_file);
}
