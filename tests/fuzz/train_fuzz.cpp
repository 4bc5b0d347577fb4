// Any JSONL of training examples: read, or refused by line.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "lib/train/sft.h"

using namespace ponder::core;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::shared_ptr<const Model> model =
      Model::load(path_source(PONDER_TEST_DATA "/../../examples/models/ponder-tiny-r1"), {}).value();
  const auto examples = read_sft_examples({reinterpret_cast<const char*>(data), size}, *model, "input");
  if (!examples.ok()) {
    if (examples.status().message().find("input") != 0) __builtin_trap();
    return 0;
  }
  for (const SftExample& example : *examples) {
    if (example.first_completion == 0 || example.first_completion >= example.token_ids.size()) __builtin_trap();
    for (const TokenId id : example.token_ids)
      if (id < 0 || id >= model->config().vocab_size) __builtin_trap();
  }
  return 0;
}
