#include "lib/ops/device.h"

#include "lib/base/dynamic_library.h"
#include "lib/base/format.h"

namespace ponder::core::ops {

static_assert(static_cast<std::uint32_t>(DType::f32) == PONDER_TYPE_F32 && static_cast<std::uint32_t>(DType::f16) == PONDER_TYPE_F16 &&
              static_cast<std::uint32_t>(DType::bf16) == PONDER_TYPE_BF16 &&
              static_cast<std::uint32_t>(DType::f8_e4m3) == PONDER_TYPE_F8_E4M3 &&
              static_cast<std::uint32_t>(DType::q4_0) == PONDER_TYPE_Q4_0 && static_cast<std::uint32_t>(DType::q8_0) == PONDER_TYPE_Q8_0 &&
              static_cast<std::uint32_t>(DType::q4_k) == PONDER_TYPE_Q4_K && static_cast<std::uint32_t>(DType::q5_k) == PONDER_TYPE_Q5_K &&
              static_cast<std::uint32_t>(DType::q6_k) == PONDER_TYPE_Q6_K);

Status Device::status(const ponder_device_error& error, const char* what) {
  const auto code = [&] {
    switch (error.code) {
      case PONDER_DEVICE_NO_MEMORY: return Code::out_of_memory;
      case PONDER_DEVICE_UNSUPPORTED: return Code::unsupported;
      default: return Code::device;
    }
  }();
  return fail(code, "{}: {}", what, error.message[0] ? error.message : "no reason given");
}

Result<std::shared_ptr<Device>> Device::open(const ponder_device_table* table, int index) {
  if (!table || table->abi != PONDER_DEVICE_ABI || table->struct_size < sizeof(ponder_device_table))
    return fail(Code::unsupported, "the device module offers no table of version {}", PONDER_DEVICE_ABI);
  ponder_device_error error{};
  int n_devices = 0;
  if (table->count(&n_devices, &error) != PONDER_DEVICE_OK) return status(error, table->name);
  if (index < 0 || index >= n_devices)
    return fail(Code::not_found, "{}: device {} was asked for, there are {}", table->name, index, n_devices);
  std::shared_ptr<Device> device(new Device);
  device->table_ = table;
  if (table->open(index, &device->handle_, &error) != PONDER_DEVICE_OK) return status(error, table->name);
  PONDER_ASSIGN(const ponder_device_info info, device->info());
  device->name_ = formatted("{}:{} {}", table->name, index, info.name);
  return device;
}

Result<std::shared_ptr<Device>> Device::open_cuda(int index) {
  PONDER_ASSIGN(const DynamicLibrary library, DynamicLibrary::open_module("libponder-cuda.so"));
  auto* entry = reinterpret_cast<ponder_backend_entry_fn*>(library.symbol("ponder_backend_entry"));
  return open(entry ? entry(PONDER_DEVICE_ABI) : nullptr, index);
}

Device::~Device() {
  if (handle_) table_->close(handle_);
}

Result<ponder_device_info> Device::info() const {
  ponder_device_info info{};
  ponder_device_error error{};
  if (table_->info(handle_, &info, &error) != PONDER_DEVICE_OK) return status(error, table_->name);
  return info;
}

Result<DeviceBuffer> Device::allocate(std::size_t n_bytes) {
  if (n_bytes == 0) return DeviceBuffer();
  void* memory = nullptr;
  ponder_device_error error{};
  if (table_->allocate(handle_, n_bytes, &memory, &error) != PONDER_DEVICE_OK)
    return status(error, formatted("{} bytes of device memory", n_bytes).c_str());
  return DeviceBuffer(shared_from_this(), memory, n_bytes, false);
}

Result<DeviceBuffer> Device::allocate_host(std::size_t n_bytes) {
  if (n_bytes == 0) return DeviceBuffer();
  void* memory = nullptr;
  ponder_device_error error{};
  if (table_->allocate_host(handle_, n_bytes, &memory, &error) != PONDER_DEVICE_OK)
    return status(error, formatted("{} bytes of pinned memory", n_bytes).c_str());
  return DeviceBuffer(shared_from_this(), memory, n_bytes, true);
}

Status Device::upload(void* to, const void* from, std::size_t n_bytes) const {
  ponder_device_error error{};
  return table_->upload(handle_, to, from, n_bytes, &error) == PONDER_DEVICE_OK ? Status() : status(error, "copy to the device");
}
Status Device::download(void* to, const void* from, std::size_t n_bytes) const {
  ponder_device_error error{};
  return table_->download(handle_, to, from, n_bytes, &error) == PONDER_DEVICE_OK ? Status() : status(error, "copy from the device");
}
Status Device::copy(void* to, const void* from, std::size_t n_bytes) const {
  ponder_device_error error{};
  return table_->copy(handle_, to, from, n_bytes, &error) == PONDER_DEVICE_OK ? Status() : status(error, "copy on the device");
}

Result<DeviceQueue> DeviceQueue::create(std::shared_ptr<Device> device) {
  DeviceQueue queue;
  ponder_device_error error{};
  if (device->table().queue_create(device->handle(), &queue.queue_, &error) != PONDER_DEVICE_OK)
    return Device::status(error, "a queue of the device");
  queue.device_ = std::move(device);
  return queue;
}

Status DeviceQueue::wait() const {
  ponder_device_error error{};
  return table().queue_wait(queue_, &error) == PONDER_DEVICE_OK ? Status() : Device::status(error, "a pass on the device");
}

}  // namespace ponder::core::ops
