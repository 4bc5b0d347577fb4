// A device that is not there: the operations of kernels/base/device_table.h in plain C++ on host memory. It is the reference of the
// modules' kernels, and lets the core's side of a device (placement, caches, graphs, errors) be tested anywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/base/device_table.h"

namespace ponder::test {

// What the next devices that are opened are like.
struct FakeDeviceSettings {
  std::size_t memory_bytes = std::size_t{1} << 32;
  std::string no_device;        // not empty: count() fails with it, as without a driver
  int lost_after_waits = -1;    // >= 0: so many waits of queues succeed, then the device is lost
};
FakeDeviceSettings& fake_device_settings();

struct FakeDeviceCounters {
  std::size_t used_bytes = 0, n_graphs_played = 0, n_waits = 0;
};
FakeDeviceCounters& fake_device_counters();

const ponder_device_table* fake_device_table();

}  // namespace ponder::test
