// A whole GGUF model whose bytes are patched: a load gives a status or a model, and a model runs one prompt. The first byte
// picks the model, then come patches of five bytes: where (u32, of the part before the data mostly) and what.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/io/mapped_file.h"
#include "tests/fuzz/run_prompt.h"

using namespace ponder::core;

namespace {

constexpr const char* kModels[] = {"v3-tiny.bf16.gguf", "v2lite-tiny.bf16.gguf", "qwen2-tiny.bf16.gguf", "llama3-kq-tiny.gguf"};
constexpr std::size_t kPatchBytes = 5;
constexpr std::size_t kHeaderBytes = 16384;  // of these models: about where their data begin

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<std::string> models = [] {
    std::vector<std::string> all;
    for (const char* name : kModels)
      all.push_back(read_file(std::string(PONDER_TEST_DATA "/gguf/") + name, std::size_t{1} << 22).value());
    return all;
  }();
  if (size == 0) return 0;
  std::string bytes = models[data[0] % models.size()];
  std::span<const std::uint8_t> rest(data + 1, size - 1);
  for (; rest.size() >= kPatchBytes; rest = rest.subspan(kPatchBytes)) {
    const std::size_t where = std::size_t{rest[0]} << 24 | std::size_t{rest[1]} << 16 | std::size_t{rest[2]} << 8 | rest[3];
    if (rest[0] == 0xff) bytes.resize(where % bytes.size() + 1);
    else bytes[where % (rest[0] < 0xe0 ? std::min(kHeaderBytes, bytes.size()) : bytes.size())] = static_cast<char>(rest[4]);
  }
  const auto source = memory_source({{"model.gguf", std::as_bytes(std::span(bytes))}});
  const auto inspection = Model::inspect(*source);
  const auto model = Model::load(source, {});
  if (model.ok() && !inspection.ok()) __builtin_trap();  // a load also reads the tokenizer
  if (!model.ok()) {
    if (model.status().message().empty()) __builtin_trap();
    return 0;
  }
  ponder::fuzz::run_prompt(**model);
  return 0;
}
