#include "lib/text/bpe.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "lib/base/format.h"
#include "lib/text/utf8.h"

namespace ponder::core {

namespace {

// GPT-2's byte-to-character table, backwards: printable bytes stand for themselves, the others are U+0100 on.
constexpr auto kByteOf = [] {
  std::array<std::int16_t, 0x180> table{};
  table.fill(-1);
  std::uint32_t next = 0x100;
  for (std::uint32_t b = 0; b < 256; ++b) {
    const bool printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || (b >= 0xae && b <= 0xff);
    table[printable ? b : next++] = static_cast<std::int16_t>(b);
  }
  return table;
}();

std::uint32_t hash_of(std::string_view bytes) {
  constexpr std::uint64_t kFactor = 0x9e3779b97f4a7c15u;  // 2^64 / golden ratio
  std::uint64_t hash = bytes.size() * kFactor;
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min<std::size_t>(8, bytes.size() - i));
    hash = (hash ^ word) * kFactor;
    hash ^= hash >> 32;
  }
  return static_cast<std::uint32_t>(hash);
}

std::uint32_t hash_of(TokenId left, TokenId right) {
  std::uint64_t key = static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
  key *= 0x9e3779b97f4a7c15u;
  return static_cast<std::uint32_t>(key >> 32);
}

// Sizes of the open tables: a power of two, at most half full.
std::size_t table_size(std::size_t n) {
  std::size_t size = 64;
  while (size < 2 * n) size *= 2;
  return size;
}

constexpr std::uint32_t kLargestToken = (1u << 31) - 1;  // bytes

// Up to this many bytes a scan for the lowest rank beats a heap.
constexpr std::size_t kShort = 64;

}  // namespace

bool bytes_of_spelling(std::string_view spelling, std::string& bytes) {
  bytes.clear();
  for (std::size_t i = 0; i < spelling.size();) {
    const utf8::Char c = utf8::next(spelling, i);
    if (!c.valid || c.code >= kByteOf.size() || kByteOf[c.code] < 0) return false;
    bytes.push_back(static_cast<char>(kByteOf[c.code]));
    i += c.size;
  }
  return true;
}

std::size_t Bpe::slot_of(std::string_view text, std::uint32_t hash) const {
  const std::size_t mask = by_bytes_.size() - 1;
  std::size_t slot = hash & mask;
  while (by_bytes_[slot].id != kNone && (by_bytes_[slot].hash != hash || bytes(by_bytes_[slot].id) != text))
    slot = (slot + 1) & mask;
  return slot;
}

std::size_t Bpe::merge_slot(TokenId left, TokenId right) const {
  const std::size_t mask = merges_.size() - 1;
  std::size_t slot = hash_of(left, right) & mask;
  while (merges_[slot].left != kNone && (merges_[slot].left != left || merges_[slot].right != right))
    slot = (slot + 1) & mask;
  return slot;
}

void Bpe::reserve(std::size_t n_tokens) {
  if (const std::size_t size = table_size(n_tokens); size > by_bytes_.size()) {
    std::vector<Bucket> old(size);
    old.swap(by_bytes_);
    for (const Bucket& bucket : old)
      if (bucket.id != kNone) by_bytes_[slot_of(bytes(bucket.id), bucket.hash)] = bucket;
  }
}

void Bpe::reserve_merges(std::size_t n_merges) {
  if (const std::size_t size = table_size(n_merges); size > merges_.size()) {
    std::vector<Merge> old(size);
    old.swap(merges_);
    for (const Merge& merge : old)
      if (merge.left != kNone) merges_[merge_slot(merge.left, merge.right)] = merge;
  }
}

Status Bpe::store(std::string_view text, TokenId id) {
  const auto i = static_cast<std::size_t>(id);
  if (arena_.size() + text.size() > std::numeric_limits<std::uint32_t>::max() || text.size() > kLargestToken)
    return Status(Code::unsupported, "tokenizer.json: more than 4 GiB of tokens");
  if (i >= tokens_.size()) tokens_.resize(i + 1);
  Token& token = tokens_[i];
  token.begin = static_cast<std::uint32_t>(arena_.size());
  token.size = static_cast<std::uint32_t>(text.size()) & kLargestToken;
  token.present = 1;
  arena_ += text;
  return {};
}

Status Bpe::add_token(std::string_view spelling, TokenId id) {
  if (has_token(id)) return fail(Code::bad_file, "tokenizer.json: token '{}' has id {}, which another token has too", spelling, id);
  std::string text;
  if (!bytes_of_spelling(spelling, text)) {
    if (!other_.try_emplace(std::string(spelling), id).second)
      return fail(Code::bad_file, "tokenizer.json: token '{}' is in model.vocab twice", spelling);
    return store(spelling, id);
  }
  reserve(n_mergeable_ + 1);
  const std::uint32_t hash = hash_of(text);
  const std::size_t slot = slot_of(text, hash);
  if (by_bytes_[slot].id != kNone) return fail(Code::bad_file, "tokenizer.json: token '{}' is in model.vocab twice", spelling);
  PONDER_TRY(store(text, id));
  by_bytes_[slot] = {hash, id};
  ++n_mergeable_;
  if (text.size() == 1) byte_tokens_[static_cast<unsigned char>(text[0])] = id;
  return {};
}

Status Bpe::add_special(std::string_view content, TokenId id) {
  if (const TokenId known = find_spelling(content); known != kNone) {
    if (known == id) return {};
    return fail(Code::bad_file, "tokenizer.json: added token '{}' has id {}, and {} in model.vocab", content, id, known);
  }
  if (has_token(id))
    return fail(Code::bad_file, "tokenizer.json: added token '{}' has id {}, which another token has too", content, id);
  std::string text;
  return store(bytes_of_spelling(content, text) ? std::string_view(text) : content, id);
}

Status Bpe::add_text(std::string_view text, TokenId id) {
  if (has_token(id)) return fail(Code::bad_file, "tokenizer.json: token '{}' has id {}, which another token has too", text, id);
  return store(text, id);
}

Status Bpe::add_merge(std::string_view left, std::string_view right) {
  std::string text, right_text;
  if (bytes_of_spelling(left, text) && bytes_of_spelling(right, right_text)) {
    const TokenId l = find(text), r = find(right_text), both = find(text += right_text);
    if (l != kNone && r != kNone && both != kNone) {
      reserve_merges(n_merges_ + 1);
      Merge& merge = merges_[merge_slot(l, r)];
      n_merges_ += merge.left == kNone;
      merge = {l, r, next_rank_++, both};  // of a repeated merge the last counts, as in the Rust library
      return {};
    }
  }
  return fail(Code::bad_file, "tokenizer.json: merge '{}' '{}' names a token that model.vocab lacks", left, right);
}

TokenId Bpe::find(std::string_view text) const {
  return by_bytes_.empty() ? kNone : by_bytes_[slot_of(text, hash_of(text))].id;
}

TokenId Bpe::find_spelling(std::string_view spelling) const {
  std::string text;
  if (bytes_of_spelling(spelling, text)) return find(text);
  const auto found = other_.find(std::string(spelling));
  return found == other_.end() ? kNone : found->second;
}

std::string_view Bpe::bytes(TokenId id) const {
  if (!has_token(id)) return {};
  const Token& token = tokens_[static_cast<std::size_t>(id)];
  return {arena_.data() + token.begin, token.size};
}

std::size_t Bpe::memory_bytes() const {
  static_assert(kTokenCost == 6 * sizeof(Bucket) && kIdCost == 3 * sizeof(Token) && kMergeCost == 4 * sizeof(Merge));
  std::size_t n_bytes = arena_.capacity() + tokens_.capacity() * sizeof(Token) + by_bytes_.capacity() * sizeof(Bucket) +
                        merges_.capacity() * sizeof(Merge);
  for (const auto& entry : other_) n_bytes += entry.first.capacity() + 96;
  return n_bytes;
}

int Bpe::missing_byte() const {
  for (int b = 0; b < 0xf5; ++b)  // 0xC0, 0xC1 and 0xF5 on are in no UTF-8 text
    if (b != 0xc0 && b != 0xc1 && byte_tokens_[static_cast<std::size_t>(b)] == kNone) return b;
  return -1;
}

Status Bpe::encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& out) const {
  if (ignore_merges_)
    if (const TokenId whole = find(piece); whole != kNone) {
      out.push_back(whole);
      return {};
    }
  scratch.ids.clear();
  for (const char c : piece) {
    const TokenId id = byte_tokens_[static_cast<unsigned char>(c)];
    if (id == kNone)
      return fail(Code::unsupported, "tokenizer.json: model.vocab has no token for byte 0x{:02x} of the text",
                  static_cast<unsigned char>(c));
    scratch.ids.push_back(id);
  }
  if (merges_.empty() || piece.size() == 1) out.insert(out.end(), scratch.ids.begin(), scratch.ids.end());
  else if (piece.size() <= kShort) encode_short(scratch, out);
  else encode_long(scratch, out);
  return {};
}

void Bpe::encode_short(Scratch& scratch, std::vector<TokenId>& out) const {
  constexpr std::int32_t kNoMerge = std::numeric_limits<std::int32_t>::max();
  auto& ids = scratch.ids;
  auto& ranks = scratch.ranks;  // of the pair (i, i + 1)
  const auto rank = [&](std::size_t i) {
    if (i + 1 >= ids.size()) return kNoMerge;
    const Merge* found = merge(ids[i], ids[i + 1]);
    return found ? found->rank : kNoMerge;
  };
  ranks.resize(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) ranks[i] = rank(i);
  for (;;) {
    const auto lowest = std::min_element(ranks.begin(), ranks.end());  // the leftmost of equals
    if (*lowest == kNoMerge) break;
    const std::ptrdiff_t i = lowest - ranks.begin();
    const auto at = static_cast<std::size_t>(i);
    ids[at] = merge(ids[at], ids[at + 1])->result;
    ids.erase(ids.begin() + i + 1);
    ranks.erase(ranks.begin() + i + 1);
    ranks[at] = rank(at);
    if (at > 0) ranks[at - 1] = rank(at - 1);
  }
  out.insert(out.end(), ids.begin(), ids.end());
}

// A linked list of tokens; the heap holds candidate merges, lowest rank first, then leftmost.
void Bpe::encode_long(Scratch& scratch, std::vector<TokenId>& out) const {
  auto& nodes = scratch.nodes;
  auto& heap = scratch.heap;
  const auto n = static_cast<std::int32_t>(scratch.ids.size());
  nodes.clear();
  heap.clear();
  for (std::int32_t i = 0; i < n; ++i) nodes.push_back({scratch.ids[static_cast<std::size_t>(i)], i - 1, i + 1 < n ? i + 1 : -1});
  const auto node = [&](std::int32_t i) -> Node& { return nodes[static_cast<std::size_t>(i)]; };
  const auto later = [](const Candidate& a, const Candidate& b) { return a.rank != b.rank ? a.rank > b.rank : a.at > b.at; };
  const auto candidate = [&](std::int32_t at) {
    if (at < 0 || node(at).next < 0) return false;
    const TokenId left = node(at).id, right = node(node(at).next).id;
    const Merge* found = merge(left, right);
    if (found) heap.push_back({found->rank, at, left, right, found->result});
    return found != nullptr;
  };
  for (std::int32_t i = 0; i < n; ++i) candidate(i);
  std::make_heap(heap.begin(), heap.end(), later);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    const Candidate c = heap.back();
    heap.pop_back();
    Node& left = node(c.at);
    if (left.id != c.left || left.next < 0 || node(left.next).id != c.right) continue;  // stale
    Node& right = node(left.next);
    left.id = c.result;
    right.id = kNone;
    left.next = right.next;
    if (left.next >= 0) node(left.next).previous = c.at;
    for (const std::int32_t at : {left.previous, c.at})
      if (candidate(at)) std::push_heap(heap.begin(), heap.end(), later);
  }
  for (std::int32_t i = 0; i >= 0; i = node(i).next) out.push_back(node(i).id);
}

}  // namespace ponder::core
