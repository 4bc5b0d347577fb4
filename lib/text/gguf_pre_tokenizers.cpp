#include "lib/text/gguf_pre_tokenizers.h"

#include <initializer_list>

namespace ponder::core {
namespace {

Json split(std::string_view regex) {
  return Json::Object{{"type", "Split"}, {"pattern", Json::Object{{"Regex", regex}}}, {"behavior", "Isolated"}};
}
Json byte_level(bool use_regex) {
  return Json::Object{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", use_regex}};
}
Json sequence(std::initializer_list<std::string_view> patterns) {
  Json::Array steps;
  for (const std::string_view pattern : patterns) steps.push_back(split(pattern));
  steps.push_back(byte_level(false));
  return Json::Object{{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}

// Upper, lower and title case letters, as DeepSeek-LLM's tokenizer.json lists them.
constexpr std::string_view kDeepseekLetters =
    R"(\s?[A-Za-z\x{b5}\x{c0}-\x{d6}\x{d8}-\x{f6}\x{f8}-\x{1ba}\x{1bc}-\x{1bf}\x{1c4}-\x{293}\x{295}-\x{2af})"
    R"(\x{370}-\x{373}\x{376}\x{377}\x{37b}-\x{37d}\x{37f}\x{386}\x{388}-\x{38a}\x{38c}\x{38e}-\x{3a1}\x{3a3}-\x{3f5})"
    R"(\x{3f7}-\x{481}\x{48a}-\x{52f}\x{531}-\x{556}\x{10a0}-\x{10c5}\x{13a0}-\x{13f5}\x{13f8}-\x{13fd}\x{1c90}-\x{1cba})"
    R"(\x{1cbd}-\x{1cbf}\x{1d00}-\x{1d2b}\x{1d6b}-\x{1d77}\x{1d79}-\x{1d9a}\x{1e00}-\x{1f15}\x{1f18}-\x{1f1d})"
    R"(\x{1f20}-\x{1f45}\x{1f48}-\x{1f4d}\x{1f50}-\x{1f57}\x{1f59}\x{1f5b}\x{1f5d}\x{1f5f}-\x{1f7d}\x{1f80}-\x{1fb4})"
    R"(\x{1fb6}-\x{1fbc}\x{1fbe}\x{1fc2}-\x{1fc4}\x{1fc6}-\x{1fcc}\x{1fd0}-\x{1fd3}\x{1fd6}-\x{1fdb}\x{1fe0}-\x{1fec})"
    R"(\x{1ff2}-\x{1ff4}\x{1ff6}-\x{1ffc}\x{2102}\x{2107}\x{210a}-\x{2113}\x{2115}\x{2119}-\x{211d}\x{2124}\x{2126})"
    R"(\x{2128}\x{212a}-\x{212d}\x{212f}-\x{2134}\x{2139}\x{213c}-\x{213f}\x{2145}-\x{2149}\x{214e}\x{2183}\x{2184})"
    R"(\x{2c00}-\x{2c7b}\x{2c7e}-\x{2ce4}\x{2ceb}-\x{2cee}\x{2cf2}\x{2cf3}\x{a640}-\x{a66d}\x{a680}-\x{a69b})"
    R"(\x{a722}-\x{a76f}\x{a771}-\x{a787}\x{a78b}-\x{a78e}\x{ab70}-\x{abbf}\x{fb00}-\x{fb06}\x{fb13}-\x{fb17})"
    R"(\x{ff21}-\x{ff3a}\x{ff41}-\x{ff5a}\x{10400}-\x{1044f}\x{104b0}-\x{104d3}\x{104d8}-\x{104fb}\x{10c80}-\x{10cb2})"
    R"(\x{10cc0}-\x{10cf2}\x{118a0}-\x{118df}\x{1e900}-\x{1e943}]+)";

Json deepseek_llm() {
  return sequence({R"([\r\n])", kDeepseekLetters,
                   R"(\s?[!-/:-~\x{ff01}-\x{ff0f}\x{ff1a}-\x{ff5e}\x{2018}-\x{201f}\x{3000}-\x{3002}]+)", R"(\s+$)",
                   R"([\x{4e00}-\x{9fa5}\x{800}-\x{4e00}\x{ac00}-\x{d7ff}]+)", R"(\p{N}+)"});
}

Json deepseek_v3() {
  return sequence({R"(\p{N}{1,3})", R"([\x{4e00}-\x{9fa5}\x{3040}-\x{309f}\x{30a0}-\x{30ff}]+)",
                   R"RE([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)RE"
                   R"RE( ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)RE"});
}

Json qwen2() {
  return sequence({R"RE((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)RE"
                   R"RE(\s*[\r\n]+|\s+(?!\S)|\s+)RE"});
}

Json llama3() {
  return sequence({R"RE((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)RE"
                   R"RE(\s*[\r\n]+|\s+(?!\S)|\s+)RE"});
}

// GPT-2's own pattern behind single digits.
Json smollm() {
  const Json digits(Json::Object{{"type", "Digits"}, {"individual_digits", true}});
  return Json::Object{{"type", "Sequence"}, {"pretokenizers", Json::Array{digits, byte_level(true)}}};
}

}  // namespace

std::optional<GgufPreTokenizer> gguf_pre_tokenizer(std::string_view name) {
  if (name == "deepseek-llm") return GgufPreTokenizer{deepseek_llm()};
  if (name == "deepseek-v3") return GgufPreTokenizer{deepseek_v3()};
  if (name == "qwen2" || name == "deepseek-r1-qwen") return GgufPreTokenizer{qwen2(), true};
  if (name == "llama-bpe" || name == "llama3" || name == "llama-v3") return GgufPreTokenizer{llama3(), false, true, true};
  if (name == "smollm") return GgufPreTokenizer{smollm()};
  if (name == "gpt-2") return GgufPreTokenizer{byte_level(true)};
  return std::nullopt;
}

}  // namespace ponder::core
