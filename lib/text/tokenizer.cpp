// The pipeline of tokenizer.json: added tokens out, normaliser, pre_tokenizer, BPE.
#include "lib/text/tokenizer.h"

#include <algorithm>

#include "lib/base/format.h"
#include "lib/io/json.h"
#include "lib/text/added_tokens.h"
#include "lib/text/bpe.h"
#include "lib/text/nfc.h"
#include "lib/text/pre_tokenizer.h"
#include "lib/text/tokenizer_config.h"
#include "lib/text/tokenizer_json.h"
#include "lib/text/utf8.h"

namespace ponder::core {

namespace {

constexpr std::size_t kLargestText = std::size_t{1} << 30;  // bytes; BPE counts in 32 bits

std::string type_of(const Json& part) {
  const Json* type = part.find("type");
  return type && type->is_string() ? type->as_string() : dump_json(part);
}

// The spans of `content` inside `part`, from its start.
std::vector<TextSpan> clip(std::span<const TextSpan> content, TextSpan part) {
  std::vector<TextSpan> clipped;
  for (const TextSpan& span : content)
    if (const TextSpan both{std::max(span.begin, part.begin), std::min(span.end, part.end)}; both.begin < both.end)
      clipped.push_back({both.begin - part.begin, both.end - part.begin});
  return clipped;
}

// Where spans of a text lie after normalisation; a change that a span touches belongs to it as a whole.
void follow(const std::vector<NfcChange>& changes, std::vector<TextSpan>& spans) {
  const auto position = [&](std::size_t at, bool end) {
    std::size_t source = 0, out = 0;
    for (const NfcChange& change : changes) {
      if (at < change.begin + (end ? 1 : 0)) break;
      if (at < change.end + (end ? 1 : 0)) return end ? change.out_end : change.out_begin;
      source = change.end, out = change.out_end;
    }
    return out + (at - source);
  };
  for (TextSpan& span : spans) span = {position(span.begin, false), position(span.end, true)};
}

class BpeTokenizer final : public Tokenizer {
 public:
  Status init(TokenizerJson json, TokenizerConfig config);

  Result<std::vector<TokenId>> encode(std::string_view text, const EncodeOptions& options) const override {
    return encode_parts(text, {}, options.parse_special);
  }
  Result<std::vector<TokenId>> encode_with_content(std::string_view text,
                                                   std::span<const TextSpan> content) const override {
    return encode_parts(text, content, true);
  }
  Result<std::string> decode(std::span<const TokenId> ids, bool skip_special) const override {
    std::string bytes;
    for (TokenId id : ids) {
      if (!has_token(id)) return fail(Code::invalid_argument, "token id {} has no token", id);
      if (!(skip_special && is_special(id))) bytes += bpe_.bytes(id);
    }
    return utf8::repaired(bytes);
  }
  std::string_view token_bytes(TokenId id) const override { return bpe_.bytes(id); }
  bool has_token(TokenId id) const override { return bpe_.has_token(id); }
  bool is_added(TokenId id) const override { return added_.find(id) != nullptr; }
  bool is_special(TokenId id) const override {
    const AddedToken* token = added_.find(id);
    return token && token->special;
  }
  std::optional<TokenId> find(std::string_view text) const override {
    for (const AddedTokens* tokens : {&added_, &letters_})
      if (const AddedToken* token = tokens->find(text)) return token->id;
    const TokenId id = bpe_.find(text);
    return id == Bpe::kNone ? std::nullopt : std::optional(id);
  }
  std::size_t n_ids() const override { return bpe_.n_ids(); }
  std::size_t memory_bytes() const override {
    return bpe_.memory_bytes() + added_.memory_bytes() + letters_.memory_bytes() + config_.chat_template.capacity() +
           config_.tool_template.capacity();
  }
  std::optional<TokenId> bos() const override { return bos_; }
  std::optional<TokenId> eos() const override { return eos_; }
  bool add_bos() const override { return config_.add_bos.value_or(false); }
  const std::string& chat_template() const override { return config_.chat_template; }
  const std::string& bos_text() const override { return config_.bos_text; }
  const std::string& eos_text() const override { return config_.eos_text; }

 private:
  struct Work {
    PreTokenizer::Scratch split;
    Bpe::Scratch bpe;
    std::vector<TokenId> ids;
  };
  Status read_normalizer(const Json& normalizer);
  Status read_decoder(const Json& decoder);
  void read_post_processor(const Json& processor);
  Result<std::vector<TokenId>> encode_parts(std::string_view text, std::span<const TextSpan> content,
                                            bool recognise) const;
  Status encode_between(std::string_view text, std::vector<TextSpan> content, bool recognise, Work& work) const;
  Status encode_plain(std::string_view text, Work& work) const;
  Status encode_run(std::string_view text, Work& work) const;

  Bpe bpe_;
  AddedTokens added_, letters_;
  bool nfc_ = false;
  PreTokenizer pre_tokenizer_;
  std::optional<TokenId> bos_, eos_;
  TokenizerConfig config_;
};

Status BpeTokenizer::read_normalizer(const Json& normalizer) {
  if (normalizer.is_null()) return {};
  const std::string type = type_of(normalizer);
  const Json* steps = normalizer.find("normalizers");
  if (type == "Sequence" && steps && steps->is_array()) {
    for (const Json& step : steps->as_array()) PONDER_TRY(read_normalizer(step));
    return {};
  }
  if (type != "NFC") return fail(Code::unsupported, "tokenizer.json: normalizer {}, want NFC or none", type);
  nfc_ = true;
  return {};
}

Status BpeTokenizer::read_decoder(const Json& decoder) {
  if (decoder.is_null()) return {};
  const std::string type = type_of(decoder);
  const Json* steps = decoder.find("decoders");
  if (type == "Sequence" && steps && steps->is_array()) {
    for (const Json& step : steps->as_array()) PONDER_TRY(read_decoder(step));
    return {};
  }
  if (type != "ByteLevel" && type != "Fuse") return fail(Code::unsupported, "tokenizer.json: decoder {}, want ByteLevel", type);
  return {};
}

// A template that begins with a special token (Llama 3's) says which one is BOS, and that it is to be added, where
// tokenizer_config.json leaves that open.
void BpeTokenizer::read_post_processor(const Json& processor) {
  if (const Json* steps = processor.find("processors"); steps && steps->is_array())
    for (const Json& step : steps->as_array()) read_post_processor(step);
  const Json* single = processor.find("single");
  if (!single || !single->is_array() || single->as_array().empty()) return;
  const Json* token = single->as_array()[0].find("SpecialToken");
  const Json* name = token ? token->find("id") : nullptr;
  if (!name || !name->is_string() || !find(name->as_string())) return;
  if (!config_.has_bos) config_.bos_text = name->as_string();
  if (!config_.add_bos) config_.add_bos = config_.bos_text == name->as_string();
}

Status BpeTokenizer::init(TokenizerJson json, TokenizerConfig config) {
  bpe_ = std::move(json.bpe);
  config_ = std::move(config);
  PONDER_ASSIGN(added_, AddedTokens::create(json.root.find("added_tokens")));
  for (const AddedToken& token : added_.all()) PONDER_TRY(bpe_.add_special(token.content, token.id));
  PONDER_ASSIGN(letters_, AddedTokens::create(&json.letters));
  for (const AddedToken& token : letters_.all()) PONDER_TRY(bpe_.add_text(token.content, token.id));
  PONDER_TRY(letters_.build([](std::string_view content) { return std::string(content); }));
  if (const Json* normalizer = json.root.find("normalizer")) PONDER_TRY(read_normalizer(*normalizer));
  PONDER_ASSIGN(pre_tokenizer_, PreTokenizer::create(json.root.find("pre_tokenizer")));
  if (const Json* decoder = json.root.find("decoder")) PONDER_TRY(read_decoder(*decoder));
  if (const Json* processor = json.root.find("post_processor")) read_post_processor(*processor);
  if (!config_.bos_text.empty()) bos_ = find(config_.bos_text);
  if (!config_.eos_text.empty()) eos_ = find(config_.eos_text);
  return added_.build([&](std::string_view content) {
    std::string normal;
    return nfc_ && normalize_nfc(content, normal) ? normal : std::string(content);
  });
}

Status BpeTokenizer::encode_plain(std::string_view text, Work& work) const {
  if (!letters_.any(false)) return encode_run(text, work);
  std::vector<AddedTokens::Part> parts;
  PONDER_TRY(letters_.cut(text, {}, false, parts));
  for (const auto& [span, token] : parts)
    if (token) work.ids.push_back(token->id);
    else PONDER_TRY(encode_run(text.substr(span.begin, span.end - span.begin), work));
  return {};
}

Status BpeTokenizer::encode_run(std::string_view text, Work& work) const {
  PONDER_ASSIGN(const PreTokenizer::Pieces pieces, pre_tokenizer_.split(text, work.split));
  for (const TextSpan& piece : pieces.spans)
    PONDER_TRY(bpe_.encode(pieces.text.substr(piece.begin, piece.end - piece.begin), work.bpe, work.ids));
  return {};
}

// Text between two added tokens that are looked for before normalisation.
Status BpeTokenizer::encode_between(std::string_view text, std::vector<TextSpan> content, bool recognise, Work& work) const {
  std::string normal;
  std::vector<NfcChange> changes;
  if (nfc_ && normalize_nfc(text, normal, &changes)) {
    text = normal;
    follow(changes, content);
  }
  if (!recognise || !added_.any(true)) return encode_plain(text, work);
  std::vector<AddedTokens::Part> parts;
  PONDER_TRY(added_.cut(text, content, true, parts));
  for (const auto& [span, token] : parts)
    if (token) work.ids.push_back(token->id);
    else PONDER_TRY(encode_plain(text.substr(span.begin, span.end - span.begin), work));
  return {};
}

Result<std::vector<TokenId>> BpeTokenizer::encode_parts(std::string_view text, std::span<const TextSpan> content,
                                                        bool recognise) const {
  if (text.size() > kLargestText)
    return fail(Code::invalid_argument, "a text of {} bytes, at most {} are encoded at once", text.size(), kLargestText);
  if (const std::size_t bad = utf8::first_invalid(text); bad != std::string_view::npos)
    return fail(Code::invalid_argument, "the text is not valid UTF-8 at byte {}", bad);
  Work work;
  if (!recognise) {
    PONDER_TRY(encode_between(text, {}, false, work));
    return std::move(work.ids);
  }
  std::vector<AddedTokens::Part> parts;
  PONDER_TRY(added_.cut(text, content, false, parts));
  for (const auto& [span, token] : parts)
    if (token) work.ids.push_back(token->id);
    else PONDER_TRY(encode_between(text.substr(span.begin, span.end - span.begin), clip(content, span), true, work));
  return std::move(work.ids);
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> make_tokenizer(TokenizerJson json, TokenizerConfig config) {
  auto tokenizer = std::make_shared<BpeTokenizer>();
  PONDER_TRY(tokenizer->init(std::move(json), std::move(config)));
  return std::shared_ptr<const Tokenizer>(std::move(tokenizer));
}

Result<std::shared_ptr<const Tokenizer>> Tokenizer::load(const Files& files, MemoryCharge* memory) {
  PONDER_ASSIGN(TokenizerJson json, read_tokenizer_json(files.tokenizer_json, memory));
  PONDER_ASSIGN(TokenizerConfig config, TokenizerConfig::parse(files.tokenizer_config_json, memory));
  return make_tokenizer(std::move(json), std::move(config));
}

}  // namespace ponder::core
