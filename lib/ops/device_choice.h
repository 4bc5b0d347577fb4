// Which device a runtime's sessions compute on: asked for by name, opened when the first session wants it.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "lib/ops/device.h"

namespace ponder::core::ops {

class DeviceChoice {
 public:
  // "cpu", "cuda", "cuda:1", or "auto": a CUDA device in fast compute where there is one. invalid_argument for other names.
  static Result<std::shared_ptr<DeviceChoice>> parse(std::string_view name);
  // A device that is open already; used in every kind of compute.
  static std::shared_ptr<DeviceChoice> of(std::shared_ptr<Device> device);

  // Opened once. Errors say why the CPU computes: Device::open_cuda, unsupported for "cpu".
  Result<std::shared_ptr<Device>> device();
  // "auto": no message when there is none, and none for exact compute, whose bits are to be those of the CPU.
  bool automatic() const { return automatic_; }
  // After a device was lost: nobody gets it again.
  void give_up(const Status& why);

 private:
  bool automatic_ = false;
  int index_ = 0;
  std::mutex mutex_;
  std::optional<Status> failed_;
  std::shared_ptr<Device> device_;
};

}  // namespace ponder::core::ops
