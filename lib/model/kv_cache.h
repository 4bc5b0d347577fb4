// The KV cache of one sequence. Rows live in reference-counted blocks of kBlockTokens tokens, so that a fork shares its
// prefix and copies at most one block. Latent (MLA) models keep [c | k_rope] per token and layer, kv_lora_rank +
// qk_rope_head_dim values; GQA models keep [K | V], 2 * n_kv_heads * head_dim values.
//
// All blocks for `context_length` tokens are reserved at creation (the OS commits pages when they are written). A block
// with n users carries n - 1 spare blocks, one added by each fork: whoever writes first takes one, so that decode
// allocates nothing, in a fork and in its parent, whatever is rewound. One thread at a time per cache; forks may be used
// by other threads at the same time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "lib/base/buffer.h"
#include "lib/base/dtype.h"
#include "lib/base/status.h"
#include "lib/ops/device.h"
#include "lib/ops/kv_rows.h"

namespace ponder::core {

struct Config;

struct KvLayout {
  std::size_t n_layers = 0;      // cached layers, the MTP layer included when it is used
  std::size_t row_elements = 0;  // per token and layer
  DType type = DType::f32;       // f32, f16, bf16, q8_0, f8_e4m3 (latent caches): see KvFormat
  std::size_t latent_elements = 0;  // the first of a row in latent caches: kv_lora_rank
  std::shared_ptr<ops::Device> device = {};  // rows lie in its memory; null: in RAM

  ops::KvFormat format() const { return {type, row_elements, latent_elements}; }
  std::size_t row_bytes() const { return format().row_bytes(); }
  std::size_t token_bytes() const { return n_layers * row_bytes(); }

  // The cache of a model; invalid_argument when its rows cannot be of this type.
  static Result<KvLayout> create(const Config& config, DType type);
};

class KvCache {
 public:
  static constexpr std::size_t kBlockTokens = 64;

  static Result<KvCache> create(const KvLayout& layout, std::size_t context_length, std::shared_ptr<Memory> memory = nullptr);

  const KvLayout& layout() const { return layout_; }
  std::size_t context_length() const { return context_length_; }
  std::size_t n_tokens() const { return n_tokens_; }  // committed tokens
  std::size_t n_blocks() const { return blocks_.size(); }
  std::size_t reserved_bytes() const;

  // A second cache with the same content that shares all blocks; `context_length` may differ but not be below n_tokens.
  // Reserves as much memory as a cache of its own, of which only what is written later becomes real.
  Result<KvCache> fork(std::size_t context_length) const;

  // Forgets tokens from `n_tokens` on.
  void truncate(std::size_t n_tokens) { n_tokens_ = n_tokens < n_tokens_ ? n_tokens : n_tokens_; }

  // Makes the rows of tokens [n_tokens(), n_tokens() + count) writable (takes spares for shared blocks). context_full when
  // they do not fit. commit() then makes them part of the sequence.
  Status prepare(std::size_t count);
  void commit(std::size_t count) { n_tokens_ += count; }

  // Rows of one block and layer: [kBlockTokens, row_elements], contiguous. On a device, an address there: see read_rows.
  std::byte* block_rows(std::size_t block, std::size_t layer) const;
  std::byte* row(std::size_t layer, std::size_t token) const {
    return block_rows(token / kBlockTokens, layer) + token % kBlockTokens * layout_.row_bytes();
  }
  // Rows of tokens [first, first + count) of a layer, wherever they lie, to and from count * row_bytes() bytes in RAM. Rows
  // that are written must be prepared.
  Status read_rows(std::size_t layer, std::size_t first, std::size_t count, void* to) const;
  Status write_rows(std::size_t layer, std::size_t first, std::size_t count, const void* from);

 private:
  struct Block {
    Buffer memory;  // [n_layers, kBlockTokens, row_elements]
    ops::DeviceBuffer device_memory;  // the same, instead
    std::byte* rows = nullptr;        // of the one that there is
    std::mutex mutex;
    std::atomic<int> n_users{1};  // changed under the mutex
    Block* spares = nullptr;      // n_users - 1 blocks, chained by next
    Block* next = nullptr;
  };
  // One use of a block.
  class BlockRef {
   public:
    BlockRef() = default;
    explicit BlockRef(Block* block) : block_(block) {}
    BlockRef(BlockRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    BlockRef& operator=(BlockRef&& other) noexcept {
      std::swap(block_, other.block_);
      return *this;
    }
    ~BlockRef() { release(); }

    // A second use of the same block; `spare` (not null) is kept for the first of the two that writes.
    BlockRef share(BlockRef spare) const;
    // Gives this use a block of its own, with the same content if `copy`; nothing when it is the only user.
    Status make_exclusive(bool copy, const KvLayout& layout);
    Block* operator->() const { return block_; }

   private:
    void release();
    Block* block_ = nullptr;
  };
  Result<BlockRef> new_block() const;

  std::shared_ptr<Memory> memory_;  // of forks too
  KvLayout layout_;
  std::size_t context_length_ = 0;
  std::size_t n_tokens_ = 0;
  std::vector<BlockRef> blocks_;
};

}  // namespace ponder::core
