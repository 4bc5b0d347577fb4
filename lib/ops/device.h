// A device that computes whole passes (kernels/base/device_table.h), opened once and shared by all sessions of a runtime.
// Any thread; a DeviceQueue belongs to one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "kernels/base/device_table.h"
#include "lib/base/dtype.h"
#include "lib/base/status.h"

namespace ponder::core::ops {

class DeviceBuffer;

class Device : public std::enable_shared_from_this<Device> {
 public:
  // Device `index` of a table. Errors: not_found without such a device, unsupported with a driver that is too old.
  static Result<std::shared_ptr<Device>> open(const ponder_device_table* table, int index);
  // Device `index` of the module libponder-cuda.so, found as DynamicLibrary::open_module says: not_found without the module or
  // without a device, unsupported where module, driver or device do not fit. The message says what is missing.
  static Result<std::shared_ptr<Device>> open_cuda(int index = 0);
  ~Device();

  const ponder_device_table& table() const { return *table_; }
  ponder_device* handle() const { return handle_; }
  const std::string& name() const { return name_; }
  Result<ponder_device_info> info() const;
  bool supports(DType type) const { return table_->supports(handle_, static_cast<std::uint32_t>(type)) != 0; }

  Result<DeviceBuffer> allocate(std::size_t n_bytes);       // device memory, not initialised
  Result<DeviceBuffer> allocate_host(std::size_t n_bytes);  // host memory that copies are quick from and to
  // Blocking; not ordered with what queues do.
  Status upload(void* to, const void* from, std::size_t n_bytes) const;
  Status download(void* to, const void* from, std::size_t n_bytes) const;
  Status copy(void* to, const void* from, std::size_t n_bytes) const;

  // One object for a key as long as somebody holds it: weights that several sessions share. `make` runs under a lock.
  template <class T>
  Result<std::shared_ptr<const T>> shared(const std::pair<const void*, int>& key,
                                          const std::function<Result<std::shared_ptr<const T>>()>& make) {
    const std::lock_guard lock(mutex_);
    if (auto known = std::static_pointer_cast<const T>(shared_[key].lock())) return known;
    PONDER_ASSIGN(std::shared_ptr<const T> made, make());
    shared_[key] = made;
    return made;
  }

  // `error` as a status; `what` was tried.
  static Status status(const ponder_device_error& error, const char* what);

 private:
  Device() = default;
  const ponder_device_table* table_ = nullptr;
  ponder_device* handle_ = nullptr;
  std::string name_;
  std::mutex mutex_;
  std::map<std::pair<const void*, int>, std::weak_ptr<const void>> shared_;
};

class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(std::shared_ptr<Device> device, void* memory, std::size_t n_bytes, bool host)
      : device_(std::move(device)), memory_(memory), n_bytes_(n_bytes), host_(host) {}
  DeviceBuffer(DeviceBuffer&& other) noexcept { *this = std::move(other); }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(memory_, other.memory_);
    std::swap(n_bytes_, other.n_bytes_);
    std::swap(host_, other.host_);
    return *this;
  }
  ~DeviceBuffer() {
    if (!memory_) return;
    if (host_) device_->table().release_host(device_->handle(), memory_);
    else device_->table().release(device_->handle(), memory_);
  }

  std::byte* data() const { return static_cast<std::byte*>(memory_); }
  template <class T>
  T* as() const { return static_cast<T*>(memory_); }
  std::size_t size_bytes() const { return n_bytes_; }

 private:
  std::shared_ptr<Device> device_;
  void* memory_ = nullptr;
  std::size_t n_bytes_ = 0;
  bool host_ = false;
};

class DeviceQueue {
 public:
  static Result<DeviceQueue> create(std::shared_ptr<Device> device);
  DeviceQueue() = default;
  DeviceQueue(DeviceQueue&& other) noexcept { *this = std::move(other); }
  DeviceQueue& operator=(DeviceQueue&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(queue_, other.queue_);
    return *this;
  }
  ~DeviceQueue() {
    if (queue_) device_->table().queue_destroy(queue_);
  }

  const ponder_device_table& table() const { return device_->table(); }
  ponder_queue* handle() const { return queue_; }
  // Returns when all that was enqueued is done, with the first failure since the last wait.
  Status wait() const;

 private:
  std::shared_ptr<Device> device_;
  ponder_queue* queue_ = nullptr;
};

}  // namespace ponder::core::ops
