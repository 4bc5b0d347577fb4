// Any bytes as a safetensors file: every tensor lies inside the file and has the size of its shape, or the file is
// refused. The input is also tried as header and data without the length, which is hard to guess.
#include <cstddef>
#include <cstdint>
#include <string>

#include "lib/io/safetensors.h"

using namespace ponder::core;

namespace {

void check(std::span<const std::byte> bytes) {
  const Result<Safetensors> file = Safetensors::parse({"input", bytes, nullptr});
  if (!file.ok()) {
    if (file.status().message().empty()) __builtin_trap();
    return;
  }
  unsigned sum = 0;
  for (const TensorInfo& tensor : file.value().tensors()) {
    if (static_cast<std::size_t>(tensor.shape.n_elements()) * element_bytes(tensor.type) != tensor.bytes.size())
      __builtin_trap();
    if (file.value().find(tensor.name) != &tensor) __builtin_trap();
    for (std::byte byte : tensor.bytes) sum += static_cast<unsigned>(byte);
  }
  [[maybe_unused]] static volatile unsigned sink;
  sink = sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check({reinterpret_cast<const std::byte*>(data), size});
  if (size == 0) return 0;
  const std::size_t n_data = data[0] < size ? data[0] : 0;  // the last bytes are tensor data
  const std::size_t n_header = size - 1 - (n_data < size - 1 ? n_data : 0);
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>((n_header >> (8 * i)) & 0xff);
  file.append(reinterpret_cast<const char*>(data) + 1, size - 1);
  check({reinterpret_cast<const std::byte*>(file.data()), file.size()});
  return 0;
}
