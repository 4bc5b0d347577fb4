#include "lib/model/kv_cache.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>
#include <new>

#include "lib/base/format.h"
#include "lib/model/config.h"

namespace ponder::core {

Result<KvLayout> KvLayout::create(const Config& config, DType type) {
  KvLayout layout{static_cast<std::size_t>(config.num_hidden_layers), static_cast<std::size_t>(config.kv_row_elements()), type};
  if (config.is_mla()) layout.latent_elements = static_cast<std::size_t>(config.kv_lora_rank);
  switch (type) {
    case DType::f32: case DType::f16: case DType::bf16: return layout;
    case DType::f8_e4m3:
      if (config.is_mla()) return layout;
      return fail(Code::invalid_argument, "kv_type F8_E4M3: only latent caches have it (MLA), {} is none; want q8_0, for one",
                  config.architecture_name);
    case DType::q8_0: {
      // A whole latent row is read at once, else the part of one head.
      const std::int64_t part = config.is_mla() ? config.kv_row_elements() : config.head_dim;
      if (part % static_cast<std::int64_t>(block_elements(type)) == 0) return layout;
      return fail(Code::invalid_argument, "kv_type Q8_0: {} values per {}, want a multiple of {}", part,
                  config.is_mla() ? "latent row" : "head", block_elements(type));
    }
    default: return fail(Code::invalid_argument, "kv_type: {}, want f32, f16, bf16, q8_0 or f8_e4m3", dtype_name(type));
  }
}

Result<KvCache::BlockRef> KvCache::new_block() const {
  auto* block = new (std::nothrow) Block;
  if (!block) return Status(Code::out_of_memory, "cannot allocate a block of the KV cache");
  BlockRef ref(block);
  if (layout_.device) {
    PONDER_ASSIGN(block->device_memory, layout_.device->allocate(layout_.token_bytes() * kBlockTokens));
    block->rows = block->device_memory.data();
  } else {
    PONDER_ASSIGN(block->memory, Buffer::allocate(layout_.token_bytes() * kBlockTokens, memory_, MemoryUse::kv));
    block->rows = block->memory.data();
  }
  return ref;
}

Result<KvCache> KvCache::create(const KvLayout& layout, std::size_t context_length, std::shared_ptr<Memory> memory) {
  KvCache cache;
  cache.memory_ = std::move(memory);
  cache.layout_ = layout;
  cache.context_length_ = context_length;
  const std::size_t n_blocks = context_length / kBlockTokens + (context_length % kBlockTokens != 0);
  // All of it once, so that a context that can never be had is refused before millions of blocks have been reserved.
  const std::size_t block_bytes = layout.token_bytes() * kBlockTokens;
  if (block_bytes > 0 && n_blocks > std::numeric_limits<std::ptrdiff_t>::max() / block_bytes)
    return fail(Code::out_of_memory, "a KV cache of {} tokens of {} bytes exceeds the address space", context_length,
                layout.token_bytes());
  const Status fits = cache.memory_ && !layout.device ? cache.memory_->would_fit(MemoryUse::kv, n_blocks * block_bytes) : Status();
  // Not from a host's allocator: it may have to find what is only asked for as a question.
  const bool ask = fits.ok() && !layout.device && !(cache.memory_ && cache.memory_->has_allocator());
  if (Status status = ask ? Buffer::allocate(n_blocks * block_bytes).status() : fits; !status.ok())
    return std::move(status).with_prefix(formatted("KV cache of {} tokens", context_length));
  cache.blocks_.reserve(n_blocks);
  for (std::size_t i = 0; i < n_blocks; ++i) {
    PONDER_ASSIGN(BlockRef block, cache.new_block());
    cache.blocks_.push_back(std::move(block));
  }
  return cache;
}

KvCache::BlockRef KvCache::BlockRef::share(BlockRef spare) const {
  const std::lock_guard lock(block_->mutex);
  spare.block_->next = block_->spares;
  block_->spares = std::exchange(spare.block_, nullptr);
  block_->n_users.fetch_add(1, std::memory_order_relaxed);
  return BlockRef(block_);
}

Status KvCache::BlockRef::make_exclusive(bool copy, const KvLayout& layout) {
  // Acquire: what the last of the other users did with the block happens before what we write. No new user can come:
  // it would have to share this very use.
  if (block_->n_users.load(std::memory_order_acquire) == 1) return {};
  const std::lock_guard lock(block_->mutex);
  if (block_->n_users.load(std::memory_order_relaxed) == 1) return {};  // the other one took the spare, or left
  Block* own = block_->spares;
  const std::size_t n_bytes = layout.token_bytes() * kBlockTokens;
  if (copy && layout.device) PONDER_TRY(layout.device->copy(own->rows, block_->rows, n_bytes));
  if (copy && !layout.device) std::memcpy(own->rows, block_->rows, n_bytes);
  block_->spares = own->next;
  own->next = nullptr;
  block_->n_users.fetch_sub(1, std::memory_order_release);
  block_ = own;
  return {};
}

void KvCache::BlockRef::release() {
  if (!block_) return;
  Block* unused = block_;
  {
    const std::lock_guard lock(block_->mutex);
    if (block_->n_users.load(std::memory_order_relaxed) > 1) {  // one user fewer needs one spare fewer
      unused = std::exchange(block_->spares, block_->spares->next);
      block_->n_users.fetch_sub(1, std::memory_order_release);
    }
  }
  delete unused;
  block_ = nullptr;
}

std::size_t KvCache::reserved_bytes() const { return blocks_.size() * layout_.token_bytes() * kBlockTokens; }

Result<KvCache> KvCache::fork(std::size_t context_length) const {
  if (context_length < n_tokens_)
    return fail(Code::invalid_argument, "fork: context_length {} is below the {} tokens in the cache", context_length,
                n_tokens_);
  KvCache copy;
  copy.memory_ = memory_;
  copy.layout_ = layout_;
  copy.context_length_ = context_length;
  copy.n_tokens_ = n_tokens_;
  const std::size_t n_blocks = (context_length + kBlockTokens - 1) / kBlockTokens;
  const std::size_t n_shared = (n_tokens_ + kBlockTokens - 1) / kBlockTokens;
  copy.blocks_.reserve(n_blocks);
  for (std::size_t i = 0; i < n_blocks; ++i) {
    PONDER_ASSIGN(BlockRef block, new_block());
    copy.blocks_.push_back(i < n_shared ? blocks_[i].share(std::move(block)) : std::move(block));
  }
  return copy;
}

Status KvCache::prepare(std::size_t count) {
  if (count > context_length_ - n_tokens_)
    return fail(Code::context_full, "{} tokens are in the context and {} more were asked for, context_length is {}",
                n_tokens_, count, context_length_);
  if (count == 0) return {};
  const std::size_t first = n_tokens_ / kBlockTokens, last = (n_tokens_ + count - 1) / kBlockTokens;
  for (std::size_t i = first; i <= last; ++i)
    PONDER_TRY(blocks_[i].make_exclusive(i == first && n_tokens_ % kBlockTokens != 0, layout_));
  return {};
}

std::byte* KvCache::block_rows(std::size_t block, std::size_t layer) const {
  return blocks_[block]->rows + layer * kBlockTokens * layout_.row_bytes();
}

namespace {

// body(token, n bytes, offset in bytes) for the parts of [first, first + count) that lie in one block each.
template <class Body>
Status for_parts(std::size_t first, std::size_t count, std::size_t row_bytes, const Body& body) {
  for (std::size_t done = 0; done < count;) {
    const std::size_t at = first + done, n = std::min(count - done, KvCache::kBlockTokens - at % KvCache::kBlockTokens);
    PONDER_TRY(body(at, n * row_bytes, done * row_bytes));
    done += n;
  }
  return {};
}

}  // namespace

Status KvCache::read_rows(std::size_t layer, std::size_t first, std::size_t count, void* to) const {
  return for_parts(first, count, layout_.row_bytes(), [&](std::size_t token, std::size_t n_bytes, std::size_t offset) -> Status {
    std::byte* part = static_cast<std::byte*>(to) + offset;
    if (layout_.device) return layout_.device->download(part, row(layer, token), n_bytes);
    std::memcpy(part, row(layer, token), n_bytes);
    return {};
  });
}

Status KvCache::write_rows(std::size_t layer, std::size_t first, std::size_t count, const void* from) {
  return for_parts(first, count, layout_.row_bytes(), [&](std::size_t token, std::size_t n_bytes, std::size_t offset) -> Status {
    const std::byte* part = static_cast<const std::byte*>(from) + offset;
    if (layout_.device) return layout_.device->upload(row(layer, token), part, n_bytes);
    std::memcpy(row(layer, token), part, n_bytes);
    return {};
  });
}

}  // namespace ponder::core
