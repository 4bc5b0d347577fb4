#include "lib/text/added_tokens.h"

#include <algorithm>

#include "lib/base/format.h"
#include "lib/text/bpe.h"
#include "lib/text/utf8.h"

namespace ponder::core {

namespace {

bool white_space(std::uint32_t c) {
  return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
         c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

// Where the character before `end` (> 0) begins.
std::size_t before(std::string_view text, std::size_t end) {
  do --end;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80);
  return end;
}

Result<AddedToken> read_token(const Json& entry) {
  const Json *content = entry.find("content"), *id = entry.find("id");
  if (!content || !content->is_string() || !id || !id->is_int() || id->as_int() < 0 || id->as_int() > Bpe::kLargestId)
    return fail(Code::bad_file, "tokenizer.json: added token {}, want content and an id from 0 to {}", dump_json(entry),
                Bpe::kLargestId);
  AddedToken token;
  token.content = content->as_string();
  token.id = static_cast<TokenId>(id->as_int());
  const std::pair<const char*, bool*> flags[] = {{"special", &token.special}, {"single_word", &token.single_word},
                                                 {"lstrip", &token.lstrip},   {"rstrip", &token.rstrip},
                                                 {"normalized", &token.normalized}};
  for (const auto& [key, flag] : flags) {
    const Json* value = entry.find(key);
    if (value && !value->is_bool())
      return fail(Code::bad_file, "tokenizer.json: added token '{}': {} is {}, want true or false", token.content, key,
                  value->type_name());
    if (value) *flag = value->as_bool();
  }
  return token;
}

}  // namespace

Result<AddedTokens> AddedTokens::create(const Json* entries) {
  AddedTokens result;
  if (!entries || entries->is_null()) return result;
  if (!entries->is_array())
    return fail(Code::bad_file, "tokenizer.json: added_tokens is {}, want an array", entries->type_name());
  for (const Json& entry : entries->as_array()) {
    PONDER_ASSIGN(AddedToken token, read_token(entry));
    if (token.content.empty()) continue;  // the Rust library drops it
    if (const AddedToken* known = result.find(token.content)) {
      if (known->id == token.id) continue;  // the first one counts, as in the Rust library
      return fail(Code::bad_file, "tokenizer.json: added token '{}' has the ids {} and {}", token.content, known->id, token.id);
    }
    if (const AddedToken* known = result.find(token.id))
      return fail(Code::bad_file, "tokenizer.json: added tokens '{}' and '{}' share the id {}", known->content, token.content,
                  token.id);
    result.by_id_[token.id] = result.by_content_[token.content] = result.tokens_.size();
    result.tokens_.push_back(std::move(token));
  }
  return result;
}

const AddedToken* AddedTokens::find(TokenId id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &tokens_[found->second];
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  const auto found = by_content_.find(std::string(content));
  return found == by_content_.end() ? nullptr : &tokens_[found->second];
}

Status AddedTokens::build(const std::function<std::string(std::string_view)>& normalize) {
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    AddedToken& token = tokens_[i];
    if (token.normalized) token.content = normalize(token.content);
    sorted_[token.normalized].push_back(i);
    first_byte_[token.normalized][static_cast<unsigned char>(token.content[0])] = true;
    if (token.single_word && !word_) {
      // \w of Rust's regex engine: Oniguruma's and the two joiners.
      PONDER_ASSIGN(word_, Pattern::regex(R"([\w\x{200c}\x{200d}])"));
    }
  }
  for (auto& sorted : sorted_)
    std::stable_sort(sorted.begin(), sorted.end(),
                     [&](std::size_t a, std::size_t b) { return tokens_[a].content < tokens_[b].content; });
  return {};
}

// The longest token that `text` begins with. [low, high) are the tokens that share its first `depth` bytes.
const AddedToken* AddedTokens::longest_at(std::string_view text, bool normalized) const {
  const AddedToken* best = nullptr;
  auto low = sorted_[normalized].begin(), high = sorted_[normalized].end();
  for (std::size_t depth = 0; low != high; ++depth) {
    if (tokens_[*low].content.size() == depth) best = &tokens_[*low];
    while (low != high && tokens_[*low].content.size() == depth) ++low;
    if (depth == text.size()) break;
    const auto byte_of = [&](std::size_t i) { return static_cast<unsigned char>(tokens_[i].content[depth]); };
    const auto byte = static_cast<unsigned char>(text[depth]);
    low = std::partition_point(low, high, [&](std::size_t i) { return byte_of(i) < byte; });
    high = std::partition_point(low, high, [&](std::size_t i) { return byte_of(i) == byte; });
  }
  return best;
}

Result<bool> AddedTokens::stands_alone(std::string_view text, TextSpan match) const {
  PONDER_ASSIGN(const std::unique_ptr<Pattern::Scratch> scratch, word_->make_scratch());
  std::vector<TextSpan> found;
  if (match.begin > 0) {
    const std::size_t begin = before(text, match.begin);
    PONDER_TRY(word_->find_all(text.substr(begin, match.begin - begin), *scratch, found));
  }
  if (match.end < text.size())
    PONDER_TRY(word_->find_all(text.substr(match.end, utf8::next(text, match.end).size), *scratch, found));
  return found.empty();
}

Status AddedTokens::cut(std::string_view text, std::span<const TextSpan> content, bool normalized,
                        std::vector<Part>& parts) const {
  std::size_t done = 0, i = 0, span = 0;
  const auto& first_byte = first_byte_[normalized];
  while (any(normalized) && i < text.size()) {
    while (span < content.size() && content[span].end <= i) ++span;
    if (span < content.size() && content[span].begin <= i) {
      i = std::min(content[span].end, text.size());
      continue;
    }
    if (!first_byte[static_cast<unsigned char>(text[i])]) {
      ++i;
      continue;
    }
    const std::size_t limit = std::min(span < content.size() ? content[span].begin : text.size(), text.size());
    const AddedToken* token = longest_at(text.substr(i, limit - i), normalized);
    if (!token) {
      ++i;
      continue;
    }
    TextSpan match{i, i + token->content.size()};
    i = match.end;
    if (token->single_word) {
      PONDER_ASSIGN(const bool alone, stands_alone(text, match));
      if (!alone) continue;
    }
    if (token->lstrip) {
      std::size_t begin = match.begin;
      while (begin > 0) {
        const std::size_t at = before(text, begin);
        if (!white_space(utf8::next(text, at).code)) break;
        begin = at;
      }
      match.begin = std::max(begin, done);
    }
    if (token->rstrip)
      while (match.end < text.size()) {
        const utf8::Char c = utf8::next(text, match.end);
        if (!white_space(c.code)) break;
        match.end += c.size;
      }
    if (done < match.begin) parts.push_back({{done, match.begin}, nullptr});
    parts.push_back({match, token});
    done = match.end;
  }
  if (done < text.size()) parts.push_back({{done, text.size()}, nullptr});
  return {};
}

}  // namespace ponder::core
