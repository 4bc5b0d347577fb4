// An owning, 64-byte aligned block of memory. Allocation failure is a Status, never an exception or a crash.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <string>

#include "lib/base/status.h"

namespace ponder::core {

class Buffer {
 public:
  static constexpr std::size_t kAlignment = 64;

  Buffer() = default;

  // The memory is not initialised: pages of a large buffer are only committed when they are written.
  static Result<Buffer> allocate(std::size_t size_bytes) {
    Buffer buffer;
    if (size_bytes == 0) return buffer;
    void* memory = ::operator new(size_bytes, std::align_val_t{kAlignment}, std::nothrow);
    if (!memory)
      return Status(Code::out_of_memory, "cannot allocate " + std::to_string(size_bytes) + " bytes");
    buffer.data_.reset(static_cast<std::byte*>(memory));
    buffer.size_bytes_ = size_bytes;
    return buffer;
  }

  std::byte* data() const { return data_.get(); }
  std::size_t size_bytes() const { return size_bytes_; }
  template <class T>
  T* as() const { return reinterpret_cast<T*>(data_.get()); }
  std::span<std::byte> bytes() const { return {data_.get(), size_bytes_}; }

 private:
  struct Release {
    void operator()(std::byte* memory) const { ::operator delete(memory, std::align_val_t{kAlignment}); }
  };
  std::unique_ptr<std::byte, Release> data_;
  std::size_t size_bytes_ = 0;
};

}  // namespace ponder::core
