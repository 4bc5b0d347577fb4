// Computed prompts in a folder, as a policy of a session: the longest stored prefix of a prompt is read, and what cost
// much to compute is written. Several processes may use one folder: files appear whole or not at all, are never changed,
// and may vanish. Nothing here fails a prompt: a file that is broken or of something else is not used, and a disk that is
// full is a warning in the log. Files are not forced to the disk: after a power failure the checksums tell.
//
// A file NAME = <key>-<hash of its tokens>.ponderkv, numbers little endian:
//   "PNDRPRMT"  u32 version  u32 0  u64 key  u64 bytes of a token  u64 n_tokens  i32 tokens [n_tokens]  u64 checksum of all before
// then for every 64 tokens their cached rows [layer][token][row bytes] and a u64 checksum of these, layer by layer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/base/log.h"
#include "lib/model/kv_cache.h"
#include "lib/text/tokenizer.h"

namespace ponder::core {

struct PromptCacheParams {
  std::filesystem::path folder = {};  // empty: no cache
  std::uint64_t max_bytes = 0;        // of all its files, the least recently used go first; 0: 4 GiB
  std::size_t min_tokens = 0;         // computed for a prompt to be stored; 0: 256
};

// One session's view of the folder.
class PromptCache {
 public:
  // key: of all that decides the rows but the tokens (model, adapters, compute, type of the cache).
  PromptCache(const PromptCacheParams& params, const Log* log);

  ~PromptCache();
  PromptCache(const PromptCache&) = delete;
  PromptCache& operator=(const PromptCache&) = delete;

  // Rows of the stored prompt that has the most in common with `ids`, of at most ids.size() - 1 tokens, behind those that
  // `kv` has already of them; at least 16 of them.
  void restore(std::uint64_t key, std::span<const TokenId> ids, KvCache& kv);
  // All rows of `kv`, which are those of `ids`, are to be written, when n_computed of them are enough: by write_part(). The
  // file takes the place of stored prefixes.
  void store(std::uint64_t key, std::span<const TokenId> ids, std::size_t n_computed, const KvCache& kv);
  bool is_writing() const { return writing_ != nullptr; }
  // The next part: kPartBytes, and what is left of a layer of 64 tokens; in the page cache that is some 0.1 ms.
  static constexpr std::size_t kPartBytes = std::size_t{64} << 10;
  void write_part(const KvCache& kv);
  // Rows from n_tokens on are about to change: what they were to be a part of is given up.
  void keep(std::size_t n_tokens);

 private:
  struct Entry;
  // What the folder has of a prompt.
  struct Found {
    std::uint64_t prompt = 0;  // checksum of its ids
    bool whole = false;        // perhaps as the start of a longer one
    std::vector<std::filesystem::path> prefixes;
  };
  struct Writing;
  std::vector<Entry> entries(std::uint64_t key, const KvLayout& layout) const;
  static Found look(const std::vector<Entry>& stored, std::span<const TokenId> ids);
  void make_room(std::uint64_t n_bytes) const;
  Status write(const KvCache& kv, bool& done);
  void warn(const Status& status) const;

  PromptCacheParams params_;
  const Log* log_;
  Found found_;
  std::unique_ptr<Writing> writing_;
};

}  // namespace ponder::core
