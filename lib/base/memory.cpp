#include "lib/base/memory.h"

#include <new>
#include <string>

#include "lib/base/format.h"

namespace ponder::core {
namespace {

constexpr const char* kNames[] = {"weights", "the KV cache", "scratch", "tables, logits and results"};

}  // namespace

Memory::Usage Memory::usage() const {
  const auto read = [](const std::atomic<std::uint64_t>& n) { return n.load(std::memory_order_relaxed); };
  return {limit_, read(used_), read(peak_), read(by_use_[0]), read(by_use_[1]), read(by_use_[2]), read(by_use_[3])};
}

Status Memory::exceeded(MemoryUse use, std::uint64_t n_bytes) const {
  const Usage now = usage();
  return fail(Code::out_of_memory,
              "{} bytes for {} do not fit: {} bytes are in use (weights {}, KV caches {}, scratch {}, other {}), memory_limit is {}",
              n_bytes, kNames[static_cast<std::size_t>(use)], now.used_bytes, now.weight_bytes, now.kv_bytes,
              now.scratch_bytes, now.other_bytes, now.limit_bytes);
}

Status Memory::would_fit(MemoryUse use, std::uint64_t n_bytes) const {
  const std::uint64_t used = used_.load(std::memory_order_relaxed);
  if (limit_ == 0 || (n_bytes <= limit_ && used <= limit_ - n_bytes)) return {};
  return exceeded(use, n_bytes);
}

Status Memory::take(MemoryUse use, std::uint64_t n_bytes) {
  std::uint64_t used = used_.load(std::memory_order_relaxed);
  do {
    if (limit_ != 0 && (n_bytes > limit_ || used > limit_ - n_bytes)) return exceeded(use, n_bytes);
  } while (!used_.compare_exchange_weak(used, used + n_bytes, std::memory_order_relaxed));
  by_use_[static_cast<std::size_t>(use)].fetch_add(n_bytes, std::memory_order_relaxed);
  used += n_bytes;
  std::uint64_t peak = peak_.load(std::memory_order_relaxed);
  while (peak < used && !peak_.compare_exchange_weak(peak, used, std::memory_order_relaxed)) {
  }
  return {};
}

void Memory::give_back(MemoryUse use, std::uint64_t n_bytes) noexcept {
  by_use_[static_cast<std::size_t>(use)].fetch_sub(n_bytes, std::memory_order_relaxed);
  used_.fetch_sub(n_bytes, std::memory_order_relaxed);
}

Result<void*> Memory::allocate(std::size_t n_bytes, std::size_t alignment) {
  void* memory = nullptr;
  if (has_allocator()) {
    try {
      memory = allocator_.allocate(allocator_.user_data, n_bytes, alignment);
    } catch (...) {  // the host's; most likely std::bad_alloc
    }
    if (reinterpret_cast<std::uintptr_t>(memory) % alignment != 0) {
      release(memory, n_bytes, alignment);
      return fail(Code::callback, "the host's allocator returned memory that is not aligned to {} bytes", alignment);
    }
  } else {
    memory = ::operator new(n_bytes, std::align_val_t{alignment}, std::nothrow);
  }
  if (!memory)
    return fail(Code::out_of_memory, "cannot allocate {} bytes{}", n_bytes,
                has_allocator() ? ": the host's allocator has none" : "");
  return memory;
}

void Memory::release(void* memory, std::size_t n_bytes, std::size_t alignment) noexcept {
  if (!has_allocator()) return ::operator delete(memory, std::align_val_t{alignment});
  try {
    allocator_.release(allocator_.user_data, memory, n_bytes, alignment);
  } catch (...) {
  }
}

}  // namespace ponder::core
