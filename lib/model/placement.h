// Which weights of a model go to a device: the memory plan behind DeviceModel.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/base/status.h"
#include "lib/model/config.h"
#include "lib/model/weights.h"

namespace ponder::core {

struct Placement {
  std::uint64_t device_bytes = 0;  // of weights
  std::vector<bool> experts_on_device;  // per layer; routed experts that are not stay in RAM, on the CPU's kernels. Dense layers: true
  std::size_t n_host_layers() const {
    std::size_t n = 0;
    for (bool on_device : experts_on_device) n += !on_device;
    return n;
  }
};

// Bytes that a weight takes on a device. `supported`: in its own type, else as f16 (f32 where `exact`).
std::uint64_t device_bytes(const Weight& w, bool supported, bool exact);

// Everything but the routed experts must fit into `budget_bytes`, out_of_memory otherwise: the CPU alone is then quicker than
// half a layer here and half there. The routed experts of as many layers follow as fit, from the first layer on, but of no
// more than max_expert_layers (< 0: no limit).
Result<Placement> place(const ModelWeights& weights, const std::vector<bool>& supported_types, bool exact,
                        std::uint64_t budget_bytes, std::int64_t max_expert_layers = -1);

}  // namespace ponder::core
