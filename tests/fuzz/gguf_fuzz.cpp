// Any bytes as a GGUF file: every tensor lies inside the file and has the size of its shape, every value can be read,
// or the file is refused. The input is also tried behind a valid magic and version.
#include <cstddef>
#include <cstdint>
#include <string>

#include "lib/io/gguf.h"

using namespace ponder::core;

namespace {

void check(std::span<const std::byte> bytes) {
  const Result<Gguf> file = Gguf::parse({"input", bytes, nullptr});
  if (!file.ok()) {
    if (file.status().message().empty()) __builtin_trap();
    return;
  }
  std::size_t sum = 0;
  for (const Gguf::Entry& entry : file->metadata()) {
    if (file->find_value(entry.key) != &entry.value) __builtin_trap();
    sum += entry.value.describe().size();
    if (const auto text = entry.value.string()) sum += text->size();
    if (const auto texts = entry.value.strings()) {
      if (texts->size() != entry.value.count()) __builtin_trap();
      for (const std::string_view text : *texts)
        for (const char c : text) sum += static_cast<unsigned char>(c);
    }
    if (const auto numbers = entry.value.numbers(); numbers && numbers->size() != entry.value.count()) __builtin_trap();
    if (const auto integers = entry.value.integers(); integers && integers->size() != entry.value.count())
      __builtin_trap();
  }
  for (const TensorInfo& tensor : file->tensors()) {
    const auto n = static_cast<std::size_t>(tensor.shape.n_elements());
    if (row_bytes(tensor.type, n) != tensor.bytes.size()) __builtin_trap();
    if (file->find(tensor.name) != &tensor) __builtin_trap();
    for (const std::byte byte : tensor.bytes) sum += static_cast<unsigned>(byte);
  }
  [[maybe_unused]] static volatile std::size_t sink;
  sink = sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check({reinterpret_cast<const std::byte*>(data), size});
  std::string file("GGUF\3\0\0\0", 8);
  file.append(reinterpret_cast<const char*>(data), size);
  check({reinterpret_cast<const std::byte*>(file.data()), file.size()});
  return 0;
}
