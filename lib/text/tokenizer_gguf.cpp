#include "lib/text/tokenizer_gguf.h"

#include <utility>
#include <vector>

#include "lib/base/format.h"
#include "lib/text/gguf_pre_tokenizers.h"
#include "lib/text/tokenizer_json.h"
#include "lib/text/utf8.h"

namespace ponder::core {
namespace {

constexpr const char* kModel = "tokenizer.ggml.model";
constexpr const char* kPre = "tokenizer.ggml.pre";
constexpr const char* kTokens = "tokenizer.ggml.tokens";
constexpr const char* kTypes = "tokenizer.ggml.token_type";
constexpr const char* kMerges = "tokenizer.ggml.merges";

// llama.h's enum llama_token_type.
enum TokenType : std::int64_t { kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte };

Status wrong(const Gguf& file, std::string_view key, const GgufValue* found, std::string_view wanted) {
  return fail(Code::bad_file, "{}: {}: {}, wanted {}", file.file().name, key, found ? found->describe() : "missing", wanted);
}

Result<std::string_view> string_at(const Gguf& file, std::string_view key) {
  const GgufValue* value = file.find_value(key);
  const auto text = value ? value->string() : std::nullopt;
  if (!text) return wrong(file, key, value, "a string");
  return *text;
}

Result<std::vector<std::string_view>> strings_at(const Gguf& file, std::string_view key) {
  const GgufValue* value = file.find_value(key);
  auto texts = value ? value->strings() : std::nullopt;
  if (!texts) return wrong(file, key, value, "an array of strings");
  return std::move(*texts);
}

// Messages of the shared code speak of tokenizer.json.
Status in_gguf_words(const Status& status, const Gguf& file) {
  if (status.ok()) return {};
  std::string text = status.message();
  for (const auto& [theirs, ours] : {std::pair<std::string_view, std::string_view>{"tokenizer.json: ", "tokenizer.ggml: "},
                                     {"model.vocab", kTokens}})
    if (const std::size_t at = text.find(theirs); at != text.npos) text.replace(at, theirs.size(), ours);
  return Status(status.code(), file.file().name + ": " + text);
}

// One character beyond ASCII: "ü" of DeepSeek-V2, a letter that fills a gap in the vocabulary and no markup.
bool is_letter(std::string_view text) {
  return static_cast<unsigned char>(text[0]) >= 0x80 && utf8::next(text, 0).size == text.size();
}

// Counts the texts of the array at `key` three times, as lists that grow are, and n_bytes for each.
Status count_array(const Gguf& file, std::string_view key, std::size_t n_bytes, MemoryCharge* memory) {
  const GgufValue* value = memory ? file.find_value(key) : nullptr;
  return value ? memory->add(3 * value->bytes().size() + value->count() * n_bytes).with_prefix(file.file().name) : Status();
}

// Vocabulary and merges; what is no ordinary token becomes an entry of added_tokens.
Status read_vocabulary(const Gguf& file, TokenizerJson& json, MemoryCharge* memory) {
  constexpr std::size_t kView = 3 * sizeof(std::string_view), kTypeCost = 4 * sizeof(std::int64_t);
  constexpr std::size_t kAddedCost = 1024;
  PONDER_TRY(count_array(file, kTokens, kView + kTypeCost + Bpe::kTokenCost + Bpe::kIdCost, memory));
  PONDER_TRY(count_array(file, kMerges, kView + Bpe::kMergeCost, memory));
  PONDER_ASSIGN(const std::vector<std::string_view> tokens, strings_at(file, kTokens));
  if (tokens.empty() || tokens.size() > static_cast<std::size_t>(Bpe::kLargestId))
    return wrong(file, kTokens, file.find_value(kTokens), formatted("1 to {} tokens", Bpe::kLargestId));
  std::vector<std::int64_t> types(tokens.size(), kNormal);
  if (const GgufValue* value = file.find_value(kTypes)) {
    const auto found = value->integers();
    if (!found || found->size() != tokens.size())
      return wrong(file, kTypes, value, formatted("an array of {} whole numbers, one per token", tokens.size()));
    types = *found;
  }
  json.bpe.reserve(tokens.size());
  Json::Array added, letters;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (types[i] < kNormal || types[i] > kByte)
      return fail(Code::bad_file, "{}: {}: element {} is {}, wanted 1 to 6", file.file().name, kTypes, i, types[i]);
    if (types[i] == kUnused || tokens[i].empty()) continue;  // padding of the vocabulary
    if (types[i] == kNormal || types[i] == kByte)
      PONDER_TRY(in_gguf_words(json.bpe.add_token(tokens[i], static_cast<TokenId>(i)), file));
    else {
      if (memory) PONDER_TRY(memory->add(kAddedCost + 3 * tokens[i].size()).with_prefix(file.file().name));
      (types[i] == kUserDefined && is_letter(tokens[i]) ? letters : added)
          .push_back(Json::Object{{"id", static_cast<std::int64_t>(i)},
                                  {"content", tokens[i]},
                                  {"special", types[i] != kUserDefined}});
    }
  }
  json.root.set("added_tokens", std::move(added));
  json.letters = std::move(letters);

  PONDER_ASSIGN(const std::vector<std::string_view> merges, strings_at(file, kMerges));
  json.bpe.reserve_merges(merges.size());
  for (const std::string_view merge : merges) {
    const std::size_t blank = merge.find(' ');
    if (blank == merge.npos || merge.find(' ', blank + 1) != merge.npos)
      return fail(Code::bad_file, "{}: {}: '{}', wanted two tokens", file.file().name, kMerges, merge.substr(0, 256));
    PONDER_TRY(in_gguf_words(json.bpe.add_merge(merge.substr(0, blank), merge.substr(blank + 1)), file));
  }
  return {};
}

// The text of the token whose id is at `key`; empty without the key.
Result<std::string> token_at(const Gguf& file, std::string_view key) {
  const GgufValue* value = file.find_value(key);
  if (!value) return std::string();
  PONDER_ASSIGN(const std::vector<std::string_view> tokens, strings_at(file, kTokens));
  const auto id = value->integer();
  if (!id || *id < 0 || static_cast<std::size_t>(*id) >= tokens.size())
    return wrong(file, key, value, formatted("the id of one of {} tokens", tokens.size()));
  const std::string_view spelling = tokens[static_cast<std::size_t>(*id)];
  std::string text;
  return bytes_of_spelling(spelling, text) ? text : std::string(spelling);
}

}  // namespace

Result<TokenizerConfig> read_gguf_tokenizer_config(const Gguf& file) {
  TokenizerConfig config;
  PONDER_ASSIGN(config.bos_text, token_at(file, "tokenizer.ggml.bos_token_id"));
  PONDER_ASSIGN(config.eos_text, token_at(file, "tokenizer.ggml.eos_token_id"));
  config.has_bos = !config.bos_text.empty();
  constexpr const char* kAddBos = "tokenizer.ggml.add_bos_token";
  if (const GgufValue* add = file.find_value(kAddBos)) {
    config.add_bos = add->boolean();
    if (!config.add_bos) return wrong(file, kAddBos, add, "true or false");
  }
  const std::pair<const char*, std::string*> templates[] = {{"tokenizer.chat_template", &config.chat_template},
                                                            {"tokenizer.chat_template.tool_use", &config.tool_template}};
  for (const auto& [key, text] : templates) {
    if (!file.find_value(key)) continue;
    PONDER_ASSIGN(*text, string_at(file, key));
  }
  return config;
}

Result<std::shared_ptr<const Tokenizer>> load_gguf_tokenizer(const Gguf& file, MemoryCharge* memory) {
  if (!file.find_value(kModel) && !file.find_value(kTokens))
    return fail(Code::no_tokenizer, "{}: has no tokenizer ({} is missing)", file.file().name, kModel);
  PONDER_ASSIGN(const std::string_view model, string_at(file, kModel));
  if (model == "none" || model == "no_vocab")  // so in llama.cpp
    return fail(Code::no_tokenizer, "{}: has no tokenizer ({} is '{}')", file.file().name, kModel, model);
  if (model != "gpt2")
    return fail(Code::unsupported, "{}: {} '{}' is not supported (gpt2, byte-level BPE, is)", file.file().name, kModel,
                model.substr(0, 64));
  PONDER_ASSIGN(const std::string_view pre, string_at(file, kPre));
  const std::optional<GgufPreTokenizer> rules = gguf_pre_tokenizer(pre);
  if (!rules)
    return fail(Code::unsupported,
                "{}: {} '{}' is not supported (deepseek-llm, deepseek-v3, deepseek-r1-qwen, qwen2, llama-bpe, smollm and "
                "gpt-2 are)",
                file.file().name, kPre, pre.substr(0, 64));
  TokenizerJson json;
  PONDER_TRY(read_vocabulary(file, json, memory));
  json.root.set("pre_tokenizer", rules->pre_tokenizer);
  if (rules->nfc) json.root.set("normalizer", Json::Object{{"type", "NFC"}});
  json.bpe.set_ignore_merges(rules->ignore_merges);
  PONDER_ASSIGN(TokenizerConfig config, read_gguf_tokenizer_config(file));
  if (!config.add_bos) config.add_bos = rules->add_bos;
  Result<std::shared_ptr<const Tokenizer>> tokenizer = make_tokenizer(std::move(json), std::move(config));
  if (!tokenizer.ok()) return in_gguf_words(tokenizer.status(), file);
  return tokenizer;
}

}  // namespace ponder::core
