#include "lib/text/tokenizer.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <unordered_map>

#include "lib/base/format.h"
#include "lib/io/json.h"
#include "lib/text/pre_tokenizer.h"
#include "lib/text/tokenizer_config.h"
#include "lib/text/utf8.h"

namespace ponder::core {

namespace {

constexpr std::int64_t kLargestId = (1 << 24) - 1;

// GPT-2's byte-to-character table: printable bytes stand for themselves, the others for U+0100 on.
struct ByteTable {
  std::array<std::uint32_t, 256> to_char{};
  std::array<std::int16_t, 0x180> to_byte{};
  ByteTable() {
    to_byte.fill(-1);
    std::uint32_t next = 0x100;
    for (std::uint32_t b = 0; b < 256; ++b) {
      const bool printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || (b >= 0xae && b <= 0xff);
      to_char[b] = printable ? b : next++;
      to_byte[to_char[b]] = static_cast<std::int16_t>(b);
    }
  }
};

struct AddedToken {
  std::string content;
  TokenId id = 0;
  bool special = false, lstrip = false, rstrip = false;
};

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

class BpeTokenizer final : public Tokenizer {
 public:
  Status init(const Files& files);

  Result<std::vector<TokenId>> encode(std::string_view text, const EncodeOptions& options) const override {
    if (options.parse_special) return encode_parts(text, {}, true);
    return encode_parts(text, {}, false);
  }
  Result<std::vector<TokenId>> encode_with_content(std::string_view text,
                                                   std::span<const TextSpan> content) const override {
    return encode_parts(text, content, true);
  }
  Result<std::string> decode(std::span<const TokenId> ids, bool skip_special) const override {
    std::string bytes;
    for (TokenId id : ids) {
      if (!has_token(id)) return fail(Code::invalid_argument, "token id {} has no token", id);
      if (!(skip_special && is_special(id))) bytes += tokens_[static_cast<std::size_t>(id)];
    }
    return utf8::repaired(bytes);
  }
  std::string_view token_bytes(TokenId id) const override {
    return has_token(id) ? std::string_view(tokens_[static_cast<std::size_t>(id)]) : std::string_view();
  }
  bool has_token(TokenId id) const override {
    return id >= 0 && static_cast<std::size_t>(id) < present_.size() && present_[static_cast<std::size_t>(id)];
  }
  bool is_added(TokenId id) const override { return added_by_id_.contains(id); }
  bool is_special(TokenId id) const override {
    const auto found = added_by_id_.find(id);
    return found != added_by_id_.end() && added_[found->second].special;
  }
  std::optional<TokenId> find(std::string_view text) const override {
    for (const AddedToken& token : added_)
      if (token.content == text) return token.id;
    const auto found = by_bytes_.find(text);
    if (found == by_bytes_.end()) return std::nullopt;
    return found->second;
  }
  std::size_t n_ids() const override { return tokens_.size(); }
  std::optional<TokenId> bos() const override { return bos_; }
  std::optional<TokenId> eos() const override { return eos_; }
  bool add_bos() const override { return config_.add_bos; }
  const std::string& chat_template() const override { return config_.chat_template; }
  const std::string& bos_text() const override { return config_.bos_text; }
  const std::string& eos_text() const override { return config_.eos_text; }

 private:
  Status read_model(const Json& model);
  Status read_added(const Json& root);
  Status read_config(std::string_view text);
  Status set_token(TokenId id, std::string bytes);
  Result<std::string> bytes_of(std::string_view token) const;
  Result<std::vector<TokenId>> encode_parts(std::string_view text, std::span<const TextSpan> content,
                                            bool recognise) const;
  Status encode_plain(std::string_view text, std::vector<TokenId>& out) const;
  Status encode_piece(std::string_view piece, std::vector<TokenId>& out) const;

  ByteTable bytes_;
  std::vector<std::string> tokens_;  // raw bytes by id
  std::vector<bool> present_;
  std::unordered_map<std::string, TokenId, StringHash, std::equal_to<>> by_bytes_;
  struct Merge {
    std::int32_t rank;
    TokenId result;
  };
  std::unordered_map<std::uint64_t, Merge> merges_;
  bool ignore_merges_ = false;
  std::vector<AddedToken> added_;  // longest content first
  std::unordered_map<TokenId, std::size_t> added_by_id_;
  PreTokenizer pre_tokenizer_;
  std::optional<TokenId> bos_, eos_;
  TokenizerConfig config_;
};

std::uint64_t pair_key(TokenId left, TokenId right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
}

Status BpeTokenizer::set_token(TokenId id, std::string bytes) {
  const auto i = static_cast<std::size_t>(id);
  if (i >= tokens_.size()) tokens_.resize(i + 1), present_.resize(i + 1);
  tokens_[i] = std::move(bytes);
  present_[i] = true;
  return {};
}

Result<std::string> BpeTokenizer::bytes_of(std::string_view token) const {
  std::string bytes;
  for (std::size_t i = 0; i < token.size();) {
    const utf8::Char c = utf8::next(token, i);
    if (!c.valid || c.code >= bytes_.to_byte.size() || bytes_.to_byte[c.code] < 0)
      return fail(Code::bad_file, "tokenizer.json: token '{}' is not in the byte-level alphabet", token);
    bytes.push_back(static_cast<char>(bytes_.to_byte[c.code]));
    i += c.size;
  }
  return bytes;
}

Status BpeTokenizer::read_model(const Json& model) {
  const Json* type = model.find("type");
  if (type && (!type->is_string() || type->as_string() != "BPE"))
    return fail(Code::unsupported, "tokenizer.json: model.type {}, want BPE", dump_json(*type));
  if (const Json* fallback = model.find("byte_fallback"); fallback && fallback->is_bool() && fallback->as_bool())
    return Status(Code::unsupported, "tokenizer.json: model.byte_fallback is true, want byte-level BPE");
  if (const Json* ignore = model.find("ignore_merges"); ignore && ignore->is_bool()) ignore_merges_ = ignore->as_bool();
  const Json* vocab = model.find("vocab");
  const Json* merges = model.find("merges");
  if (!vocab || !vocab->is_object()) return Status(Code::bad_file, "tokenizer.json: model.vocab is missing, want an object");
  if (!merges || !merges->is_array()) return Status(Code::bad_file, "tokenizer.json: model.merges is missing, want an array");
  by_bytes_.reserve(vocab->as_object().size());
  for (const auto& [token, id] : vocab->as_object()) {
    if (!id.is_int() || id.as_int() < 0 || id.as_int() > kLargestId)
      return fail(Code::bad_file, "tokenizer.json: token '{}' has id {}, want 0 to {}", token, dump_json(id), kLargestId);
    const auto token_id = static_cast<TokenId>(id.as_int());
    if (has_token(token_id)) return fail(Code::bad_file, "tokenizer.json: two tokens have id {}", token_id);
    Result<std::string> bytes = bytes_of(token);
    // Added tokens may stand in the vocabulary too, as plain text outside the byte-level alphabet.
    PONDER_TRY(set_token(token_id, bytes.ok() ? *bytes : token));
    if (bytes.ok()) by_bytes_.emplace(*bytes, token_id);
  }
  merges_.reserve(merges->as_array().size());
  std::int32_t rank = 0;
  for (const Json& merge : merges->as_array()) {
    std::string_view left, right;
    if (merge.is_string()) {
      const std::string_view text = merge.as_string();
      const std::size_t blank = text.find(' ');
      if (blank == std::string_view::npos) return fail(Code::bad_file, "tokenizer.json: merge '{}', want two tokens", text);
      left = text.substr(0, blank), right = text.substr(blank + 1);
    } else if (merge.is_array() && merge.as_array().size() == 2 && merge.as_array()[0].is_string() &&
               merge.as_array()[1].is_string()) {
      left = merge.as_array()[0].as_string(), right = merge.as_array()[1].as_string();
    } else {
      return fail(Code::bad_file, "tokenizer.json: merge {}, want two tokens", dump_json(merge));
    }
    PONDER_ASSIGN(const std::string left_bytes, bytes_of(left));
    PONDER_ASSIGN(const std::string right_bytes, bytes_of(right));
    const auto l = by_bytes_.find(left_bytes), r = by_bytes_.find(right_bytes);
    const auto both = by_bytes_.find(left_bytes + right_bytes);
    if (l == by_bytes_.end() || r == by_bytes_.end() || both == by_bytes_.end())
      return fail(Code::bad_file, "tokenizer.json: merge '{}' '{}' names a token that model.vocab lacks", left, right);
    merges_.try_emplace(pair_key(l->second, r->second), Merge{rank++, both->second});
  }
  return {};
}

Status BpeTokenizer::read_added(const Json& root) {
  const Json* added = root.find("added_tokens");
  if (!added || added->is_null()) return {};
  if (!added->is_array()) return Status(Code::bad_file, "tokenizer.json: added_tokens is no array");
  for (const Json& entry : added->as_array()) {
    const Json *content = entry.find("content"), *id = entry.find("id");
    if (!content || !content->is_string() || content->as_string().empty() || !id || !id->is_int() || id->as_int() < 0 ||
        id->as_int() > kLargestId)
      return fail(Code::bad_file, "tokenizer.json: added token {}, want content and an id from 0 to {}", dump_json(entry),
                  kLargestId);
    const auto flag = [&](const char* key) {
      const Json* value = entry.find(key);
      return value && value->is_bool() && value->as_bool();
    };
    if (flag("single_word"))
      return fail(Code::unsupported, "tokenizer.json: added token '{}' is single_word", content->as_string());
    AddedToken token{content->as_string(), static_cast<TokenId>(id->as_int()), flag("special"), flag("lstrip"), flag("rstrip")};
    PONDER_TRY(set_token(token.id, token.content));
    added_.push_back(std::move(token));
  }
  std::stable_sort(added_.begin(), added_.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.content.size() > b.content.size(); });
  for (std::size_t i = 0; i < added_.size(); ++i) added_by_id_[added_[i].id] = i;
  return {};
}

Status BpeTokenizer::read_config(std::string_view text) {
  PONDER_ASSIGN(config_, TokenizerConfig::parse(text));
  if (!config_.bos_text.empty()) bos_ = find(config_.bos_text);
  if (!config_.eos_text.empty()) eos_ = find(config_.eos_text);
  return {};
}

Status BpeTokenizer::init(const Files& files) {
  PONDER_ASSIGN(const Json root, parse_json(files.tokenizer_json, "tokenizer.json"));
  const Json* model = root.find("model");
  if (!model || !model->is_object()) return Status(Code::bad_file, "tokenizer.json: model is missing, want an object");
  PONDER_TRY(read_model(*model));
  PONDER_TRY(read_added(root));
  PONDER_ASSIGN(pre_tokenizer_, PreTokenizer::create(root.find("normalizer"), root.find("pre_tokenizer")));
  return read_config(files.tokenizer_config_json);
}

Status BpeTokenizer::encode_piece(std::string_view piece, std::vector<TokenId>& out) const {
  if (ignore_merges_)
    if (const auto whole = by_bytes_.find(piece); whole != by_bytes_.end()) {
      out.push_back(whole->second);
      return {};
    }
  // A linked list of tokens; the heap holds candidate merges, lowest rank first, then leftmost.
  struct Node {
    TokenId id;
    std::int64_t previous, next;
  };
  std::vector<Node> nodes;
  nodes.reserve(piece.size());
  for (std::size_t i = 0; i < piece.size(); ++i) {
    const auto found = by_bytes_.find(piece.substr(i, 1));
    if (found == by_bytes_.end())
      return fail(Code::bad_file, "tokenizer.json: byte {} has no token", static_cast<unsigned char>(piece[i]));
    nodes.push_back({found->second, static_cast<std::int64_t>(i) - 1, static_cast<std::int64_t>(i) + 1});
  }
  nodes.back().next = -1;
  struct Candidate {
    std::int32_t rank;
    std::int64_t at;
    TokenId left, right, result;
  };
  const auto later = [](const Candidate& a, const Candidate& b) { return a.rank != b.rank ? a.rank > b.rank : a.at > b.at; };
  std::vector<Candidate> heap;
  const auto offer = [&](std::int64_t at) {
    if (at < 0 || nodes[static_cast<std::size_t>(at)].next < 0) return;
    const TokenId left = nodes[static_cast<std::size_t>(at)].id;
    const TokenId right = nodes[static_cast<std::size_t>(nodes[static_cast<std::size_t>(at)].next)].id;
    const auto found = merges_.find(pair_key(left, right));
    if (found == merges_.end()) return;
    heap.push_back({found->second.rank, at, left, right, found->second.result});
    std::push_heap(heap.begin(), heap.end(), later);
  };
  for (std::size_t i = 0; i < nodes.size(); ++i) offer(static_cast<std::int64_t>(i));
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    const Candidate c = heap.back();
    heap.pop_back();
    Node& left = nodes[static_cast<std::size_t>(c.at)];
    if (left.id != c.left || left.next < 0 || nodes[static_cast<std::size_t>(left.next)].id != c.right) continue;  // stale
    Node& right = nodes[static_cast<std::size_t>(left.next)];
    left.id = c.result;
    right.id = -1;
    left.next = right.next;
    if (left.next >= 0) nodes[static_cast<std::size_t>(left.next)].previous = c.at;
    offer(left.previous);
    offer(c.at);
  }
  for (std::int64_t i = 0; i >= 0; i = nodes[static_cast<std::size_t>(i)].next)
    out.push_back(nodes[static_cast<std::size_t>(i)].id);
  return {};
}

Status BpeTokenizer::encode_plain(std::string_view text, std::vector<TokenId>& out) const {
  if (text.empty()) return {};
  PONDER_ASSIGN(const std::vector<std::string> pieces, pre_tokenizer_.split(text));
  for (const std::string& piece : pieces)
    if (!piece.empty()) PONDER_TRY(encode_piece(piece, out));
  return {};
}

Result<std::vector<TokenId>> BpeTokenizer::encode_parts(std::string_view text, std::span<const TextSpan> content,
                                                        bool recognise) const {
  if (const std::size_t bad = utf8::first_invalid(text); bad != std::string_view::npos)
    return fail(Code::invalid_argument, "the text is not valid UTF-8 at byte {}", bad);
  std::vector<TokenId> out;
  std::size_t plain = 0, i = 0, span = 0;
  while (recognise && i < text.size()) {
    while (span < content.size() && content[span].end <= i) ++span;
    if (span < content.size() && content[span].begin <= i) {
      i = content[span].end;
      continue;
    }
    const std::size_t limit = span < content.size() ? content[span].begin : text.size();
    const AddedToken* match = nullptr;
    for (const AddedToken& token : added_)  // longest first
      if (token.content.size() <= limit - i && text.compare(i, token.content.size(), token.content) == 0) {
        match = &token;
        break;
      }
    if (!match) {
      ++i;
      continue;
    }
    std::size_t end = i, next = i + match->content.size();
    if (match->lstrip)
      while (end > plain && static_cast<unsigned char>(text[end - 1]) <= ' ') --end;
    if (match->rstrip)
      while (next < limit && static_cast<unsigned char>(text[next]) <= ' ') ++next;
    PONDER_TRY(encode_plain(text.substr(plain, end - plain), out));
    out.push_back(match->id);
    plain = i = next;
  }
  PONDER_TRY(encode_plain(text.substr(plain), out));
  return out;
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> Tokenizer::load(const Files& files) {
  auto tokenizer = std::make_shared<BpeTokenizer>();
  PONDER_TRY(tokenizer->init(files));
  return std::shared_ptr<const Tokenizer>(std::move(tokenizer));
}

}  // namespace ponder::core
