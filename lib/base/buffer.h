// An owning, 64-byte aligned block of memory. Allocation failure is a Status, never an exception or a crash.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>

#include "lib/base/memory.h"
#include "lib/base/status.h"

namespace ponder::core {

class Buffer {
 public:
  static constexpr std::size_t kAlignment = 64;

  Buffer() = default;

  // The memory is not initialised: pages of a large buffer are only committed when they are written. From `memory`, which
  // it keeps alive, counted there as `use`; or, without one, from operator new.
  static Result<Buffer> allocate(std::size_t size_bytes, const std::shared_ptr<Memory>& memory = nullptr,
                                 std::optional<MemoryUse> use = {}) {
    Buffer buffer;
    if (size_bytes == 0) return buffer;
    if (memory && use) {
      buffer.charge_ = MemoryCharge(memory, *use);
      PONDER_TRY(buffer.charge_.raise_to(size_bytes));
    }
    if (memory) {
      PONDER_ASSIGN(void* const bytes, memory->allocate(size_bytes, kAlignment));
      buffer.data_ = std::unique_ptr<std::byte, Release>(static_cast<std::byte*>(bytes), Release(memory, size_bytes));
    } else {
      void* const bytes = ::operator new(size_bytes, std::align_val_t{kAlignment}, std::nothrow);
      if (!bytes) return Status(Code::out_of_memory, "cannot allocate " + std::to_string(size_bytes) + " bytes");
      buffer.data_.reset(static_cast<std::byte*>(bytes));
    }
    buffer.size_bytes_ = size_bytes;
    return buffer;
  }

  std::byte* data() const { return data_.get(); }
  std::size_t size_bytes() const { return size_bytes_; }
  template <class T>
  T* as() const { return reinterpret_cast<T*>(data_.get()); }
  std::span<std::byte> bytes() const { return {data_.get(), size_bytes_}; }

 private:
  class Release {
   public:
    Release() : size_bytes_(0) {}
    Release(std::shared_ptr<Memory> memory, std::size_t size_bytes) : memory_(std::move(memory)), size_bytes_(size_bytes) {}
    void operator()(std::byte* bytes) const {
      if (memory_) memory_->release(bytes, size_bytes_, kAlignment);
      else ::operator delete(bytes, std::align_val_t{kAlignment});
    }

   private:
    std::shared_ptr<Memory> memory_;
    std::size_t size_bytes_;
  };
  MemoryCharge charge_;  // given back after the memory
  std::unique_ptr<std::byte, Release> data_;
  std::size_t size_bytes_ = 0;
};

}  // namespace ponder::core
