#include "lib/model/kv_cache.h"

#include <cstring>

#include "lib/base/format.h"

namespace ponder::core {

Result<KvCache::BlockRef> KvCache::new_block(const KvLayout& layout) {
  PONDER_ASSIGN(Buffer memory, Buffer::allocate(layout.token_bytes() * kBlockTokens));
  auto* block = new Block;
  block->memory = std::move(memory);
  return BlockRef(block);
}

Result<KvCache> KvCache::create(const KvLayout& layout, std::size_t context_length) {
  KvCache cache;
  cache.layout_ = layout;
  cache.context_length_ = context_length;
  const std::size_t n_blocks = (context_length + kBlockTokens - 1) / kBlockTokens;
  cache.blocks_.reserve(n_blocks);
  for (std::size_t i = 0; i < n_blocks; ++i) {
    PONDER_ASSIGN(BlockRef block, new_block(layout));
    cache.blocks_.push_back(std::move(block));
  }
  return cache;
}

std::size_t KvCache::reserved_bytes() const {
  return (blocks_.size() + spare_.size()) * layout_.token_bytes() * kBlockTokens;
}

Result<KvCache> KvCache::fork(std::size_t context_length) const {
  if (context_length < n_tokens_)
    return fail(Code::invalid_argument, "fork: context_length {} is below the {} tokens in the cache", context_length,
                n_tokens_);
  KvCache copy;
  copy.layout_ = layout_;
  copy.context_length_ = context_length;
  copy.n_tokens_ = n_tokens_;
  const std::size_t n_blocks = (context_length + kBlockTokens - 1) / kBlockTokens;
  const std::size_t n_shared = (n_tokens_ + kBlockTokens - 1) / kBlockTokens;
  copy.blocks_.reserve(n_blocks);
  copy.spare_.reserve(n_shared);
  for (std::size_t i = 0; i < n_blocks; ++i) {
    if (i < n_shared) {
      copy.blocks_.push_back(blocks_[i]);
      if (i + 1 < n_shared) continue;  // full blocks are only copied after a rewind: prepare() allocates then
    }
    PONDER_ASSIGN(BlockRef block, new_block(layout_));
    (i < n_shared ? copy.spare_ : copy.blocks_).push_back(std::move(block));
  }
  return copy;
}

Status KvCache::prepare(std::size_t count) {
  if (count > context_length_ - n_tokens_)
    return fail(Code::context_full, "{} tokens are in the context and {} more were asked for, context_length is {}",
                n_tokens_, count, context_length_);
  if (count == 0) return {};
  const std::size_t first = n_tokens_ / kBlockTokens;
  const std::size_t last = (n_tokens_ + count - 1) / kBlockTokens;
  for (std::size_t i = first; i <= last; ++i) {
    if (blocks_[i].exclusive()) continue;
    BlockRef own;
    if (!spare_.empty()) {
      own = std::move(spare_.back());
      spare_.pop_back();
    } else {
      PONDER_ASSIGN(own, new_block(layout_));
    }
    if (i == first) std::memcpy(own->memory.data(), blocks_[i]->memory.data(), own->memory.size_bytes());
    blocks_[i] = std::move(own);
  }
  return {};
}

std::byte* KvCache::block_rows(std::size_t block, std::size_t layer) const {
  return blocks_[block]->memory.data() + layer * kBlockTokens * layout_.row_bytes();
}

}  // namespace ponder::core
