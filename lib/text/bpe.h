// Byte-level BPE: the vocabulary, and merging a piece of text by rank. Built once, then immutable; any number of threads may
// encode, each with a Scratch of its own.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lib/base/status.h"
#include "lib/text/tokenizer.h"

namespace ponder::core {

class Bpe {
 public:
  Bpe() { byte_tokens_.fill(kNone); }

  static constexpr TokenId kNone = -1;
  static constexpr std::int64_t kLargestId = (1 << 22) - 1;  // bounds the table by id; the largest known id is about 2^18

  void reserve(std::size_t n_tokens);

  // A vocabulary entry, spelled in GPT-2's byte-to-character table. One that is not (a special token's name) is never the
  // result of a merge and stands for its own bytes. The id is 0 to kLargestId.
  Status add_token(std::string_view spelling, TokenId id);
  // An added token, which text is never merged to. Its bytes are what the Rust library's ByteLevel decoder makes of it:
  // spelled in the table, the table's bytes ("ø" is byte 0xF8); else its own.
  Status add_special(std::string_view content, TokenId id);

  // An added token that stands for its own text, whatever the table makes of it.
  Status add_text(std::string_view text, TokenId id);

  // The next merge; ranks ascend. Spelled as add_token; all three tokens must be there.
  Status add_merge(std::string_view left, std::string_view right);
  void reserve_merges(std::size_t n_merges);
  void set_ignore_merges(bool ignore) { ignore_merges_ = ignore; }

  TokenId find(std::string_view bytes) const;             // a mergeable token, or kNone
  TokenId find_spelling(std::string_view spelling) const;  // any vocabulary entry as tokenizer.json spells it, or kNone
  bool has_token(TokenId id) const {
    return id >= 0 && static_cast<std::size_t>(id) < tokens_.size() && tokens_[static_cast<std::size_t>(id)].present;
  }
  std::string_view bytes(TokenId id) const;               // empty without a token
  std::size_t n_ids() const { return tokens_.size(); }
  std::size_t memory_bytes() const;
  int missing_byte() const;  // a byte of UTF-8 text that has no token, or -1

  // What a token takes beside its text, an id with or without a token, and a merge, while the tables grow.
  static constexpr std::size_t kTokenCost = 48, kIdCost = 24, kMergeCost = 64;

  struct Candidate {
    std::int32_t rank;
    std::int32_t at;
    TokenId left, right, result;
  };
  struct Node {
    TokenId id;
    std::int32_t previous, next;
  };
  struct Scratch {
    std::vector<TokenId> ids;
    std::vector<std::int32_t> ranks;
    std::vector<Node> nodes;
    std::vector<Candidate> heap;
  };
  // Appends the ids of one piece (not empty, below 2^31 bytes). Linear in memory, n log n in time.
  Status encode(std::string_view piece, Scratch& scratch, std::vector<TokenId>& out) const;

 private:
  struct Token {
    std::uint32_t begin = 0, size : 31 = 0, present : 1 = 0;
  };
  struct Bucket {
    std::uint32_t hash = 0;
    TokenId id = kNone;
  };
  struct Merge {
    TokenId left = kNone, right = kNone;
    std::int32_t rank = 0;
    TokenId result = kNone;
  };
  Status store(std::string_view bytes, TokenId id);
  std::size_t slot_of(std::string_view bytes, std::uint32_t hash) const;  // of the token, or where it would go
  std::size_t merge_slot(TokenId left, TokenId right) const;
  const Merge* merge(TokenId left, TokenId right) const {
    if (merges_.empty()) return nullptr;
    const Merge& found = merges_[merge_slot(left, right)];
    return found.left == kNone ? nullptr : &found;
  }
  void encode_short(Scratch& scratch, std::vector<TokenId>& out) const;
  void encode_long(Scratch& scratch, std::vector<TokenId>& out) const;

  std::string arena_;          // bytes of all tokens
  std::vector<Token> tokens_;  // by id
  std::vector<Bucket> by_bytes_;  // open addressing, a power of two, at most half full
  std::size_t n_mergeable_ = 0;
  std::vector<Merge> merges_;  // the same
  std::size_t n_merges_ = 0;
  std::int32_t next_rank_ = 0;
  std::unordered_map<std::string, TokenId> other_;  // entries that the table does not spell
  std::array<TokenId, 256> byte_tokens_;
  bool ignore_merges_ = false;
};

// Bytes of a token spelled in GPT-2's byte-to-character table; false when some character is not in it.
bool bytes_of_spelling(std::string_view spelling, std::string& bytes);

}  // namespace ponder::core
