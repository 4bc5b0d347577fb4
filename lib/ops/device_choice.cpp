#include "lib/ops/device_choice.h"

#include <charconv>

#include "lib/base/format.h"

namespace ponder::core::ops {

Result<std::shared_ptr<DeviceChoice>> DeviceChoice::parse(std::string_view name) {
  auto choice = std::make_shared<DeviceChoice>();
  choice->automatic_ = name == "auto";
  if (name == "auto" || name == "cuda") return choice;
  if (name == "cpu") {
    choice->failed_ = Status(Code::unsupported, "the CPU was asked for");
    return choice;
  }
  constexpr std::string_view kPrefix = "cuda:";
  if (name.starts_with(kPrefix)) {
    const std::string_view number = name.substr(kPrefix.size());
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), choice->index_);
    if (error == std::errc() && end == number.data() + number.size() && choice->index_ >= 0) return choice;
  }
  return fail(Code::invalid_argument, "PONDER_DEVICE is '{}', want auto, cpu, cuda or cuda:N", name);
}

std::shared_ptr<DeviceChoice> DeviceChoice::of(std::shared_ptr<Device> device) {
  auto choice = std::make_shared<DeviceChoice>();
  choice->device_ = std::move(device);
  return choice;
}

Result<std::shared_ptr<Device>> DeviceChoice::device() {
  const std::lock_guard lock(mutex_);
  if (failed_) return Status(*failed_);
  if (device_) return device_;
  Result<std::shared_ptr<Device>> opened = Device::open_cuda(index_);
  if (opened.ok()) device_ = *opened;
  else failed_ = opened.status();
  return opened;
}

void DeviceChoice::give_up(const Status& why) {
  const std::lock_guard lock(mutex_);
  failed_ = why;
  device_ = nullptr;
}

}  // namespace ponder::core::ops
