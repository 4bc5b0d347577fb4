// A tensor of a checkpoint file, whatever the format (safetensors.h, gguf.h).
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "lib/base/dtype.h"
#include "lib/base/tensor.h"

namespace ponder::core {

struct TensorInfo {
  std::string name;
  DType type = DType::f32;
  Shape shape;                       // row-major: the last dimension is contiguous, and whole blocks of the type
  std::span<const std::byte> bytes;  // points into the file; the size of `shape` in `type`, checked
};

// A tensor that a file names and that cannot be read. Only those who want it fail: a surplus one does no harm.
struct UnusableTensor {
  std::string name;
  std::string reason;  // "dtype F8_E5M2 is not supported"
};

}  // namespace ponder::core
