// The account of a runtime's large memory, its ceiling, and where weights, KV caches and scratch come from: the host's
// allocator, or operator new. Any thread may use it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "lib/base/status.h"

namespace ponder::core {

// other: tokenizers, tensor tables, logits, saved sessions, results; from operator new.
enum class MemoryUse { weights, kv, scratch, other };

class Memory {
 public:
  // Both or neither; on any thread, several at once. What they throw counts as no memory.
  struct Allocator {
    void* (*allocate)(void* user_data, std::size_t size_bytes, std::size_t alignment) = nullptr;  // null: none left
    void (*release)(void* user_data, void* memory, std::size_t size_bytes, std::size_t alignment) = nullptr;
    void* user_data = nullptr;
  };
  struct Usage {
    std::uint64_t limit_bytes = 0;  // 0: none
    std::uint64_t used_bytes = 0, peak_bytes = 0;
    std::uint64_t weight_bytes = 0, kv_bytes = 0, scratch_bytes = 0, other_bytes = 0;  // of used_bytes
  };

  Memory() = default;
  Memory(std::uint64_t limit_bytes, const Allocator& allocator) : limit_(limit_bytes), allocator_(allocator) {}
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  Usage usage() const;
  bool has_allocator() const { return allocator_.allocate != nullptr; }

  // out_of_memory, with the numbers, when n_bytes more would exceed the limit. would_fit changes nothing.
  Status would_fit(MemoryUse use, std::uint64_t n_bytes) const;
  Status take(MemoryUse use, std::uint64_t n_bytes);
  void give_back(MemoryUse use, std::uint64_t n_bytes) noexcept;

  // From the allocator, not counted; out_of_memory, or callback when it breaks its contract.
  Result<void*> allocate(std::size_t n_bytes, std::size_t alignment);
  void release(void* memory, std::size_t n_bytes, std::size_t alignment) noexcept;

 private:
  Status exceeded(MemoryUse use, std::uint64_t n_bytes) const;

  std::uint64_t limit_ = 0;
  Allocator allocator_;
  std::atomic<std::uint64_t> used_{0}, peak_{0};
  std::array<std::atomic<std::uint64_t>, 4> by_use_{};
};

// Bytes that are counted as long as it lives.
class MemoryCharge {
 public:
  MemoryCharge() = default;
  MemoryCharge(std::shared_ptr<Memory> memory, MemoryUse use) : memory_(std::move(memory)), use_(use) {}
  MemoryCharge(MemoryCharge&& other) noexcept
      : memory_(std::move(other.memory_)), use_(other.use_), n_bytes_(std::exchange(other.n_bytes_, 0)) {}
  MemoryCharge& operator=(MemoryCharge&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(use_, other.use_);
    std::swap(n_bytes_, other.n_bytes_);
    return *this;
  }
  ~MemoryCharge() {
    if (memory_) memory_->give_back(use_, n_bytes_);
  }

  std::uint64_t n_bytes() const { return n_bytes_; }
  // Nothing when it is as much already. Without a Memory there is no limit.
  Status raise_to(std::uint64_t n_bytes) {
    if (n_bytes <= n_bytes_) return {};
    if (memory_) PONDER_TRY(memory_->take(use_, n_bytes - n_bytes_));
    n_bytes_ = n_bytes;
    return {};
  }
  Status add(std::uint64_t n_bytes) { return raise_to(n_bytes_ + n_bytes); }
  // Nothing when it is as little already.
  void lower_to(std::uint64_t n_bytes) noexcept {
    if (n_bytes >= n_bytes_) return;
    if (memory_) memory_->give_back(use_, n_bytes_ - n_bytes);
    n_bytes_ = n_bytes;
  }

 private:
  std::shared_ptr<Memory> memory_;
  MemoryUse use_ = MemoryUse::other;
  std::uint64_t n_bytes_ = 0;
};

}  // namespace ponder::core
