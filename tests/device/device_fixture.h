// The devices that the tests run on: the fake one, and the one of libponder-cuda.so where it works.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include "lib/ops/device.h"
#include "tests/device/fake_device.h"

namespace ponder::test {

inline std::shared_ptr<core::ops::Device> fake_device(const FakeDeviceSettings& settings = {}) {
  fake_device_settings() = settings;
  auto device = core::ops::Device::open(fake_device_table(), 0);
  REQUIRE_MESSAGE(device.ok(), device.status().message());
  return *device;
}

// Null without the module, a driver or a device: the tests that need one then say so and pass.
inline std::shared_ptr<core::ops::Device> cuda_device() {
#ifdef PONDER_CUDA_FOLDER
  if (!std::getenv("PONDER_BACKEND_DIR")) ::setenv("PONDER_BACKEND_DIR", PONDER_CUDA_FOLDER, 1);
#endif
  static const auto device = core::ops::Device::open_cuda();
  if (device.ok()) return *device;
  MESSAGE("skipped, no CUDA device: " << device.status().message());
  return nullptr;
}

inline std::vector<std::shared_ptr<core::ops::Device>> test_devices() {
  std::vector<std::shared_ptr<core::ops::Device>> devices{fake_device()};
  if (auto device = cuda_device()) devices.push_back(std::move(device));
  return devices;
}

}  // namespace ponder::test
