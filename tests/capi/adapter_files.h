// A small adapter as PEFT saves it, in memory.
#pragma once

#include "tests/capi/capi_fixture.h"

namespace capi_test {

// An adapter of rank 1 on lm_head as PEFT saves it: A is all ones, B is 1 for one token.
struct AdapterFiles {
  AdapterFiles(const ponder_model_info& info, std::int32_t token, int lora_alpha = 2)
      : config("{\"peft_type\": \"LORA\", \"r\": 1, \"lora_alpha\": " + std::to_string(lora_alpha) + "}") {
    const auto width = static_cast<std::size_t>(info.hidden_size), vocab = static_cast<std::size_t>(info.vocab_size);
    std::vector<float> values(width + vocab, 0.0f);
    for (std::size_t i = 0; i < width; ++i) values[i] = 1;
    values[width + static_cast<std::size_t>(token)] = 1;
    const std::string at = "\"base_model.model.lm_head.lora_";
    std::string header = "{" + at + "A.weight\": {\"dtype\": \"F32\", \"shape\": [1, " + std::to_string(width) + "], \"data_offsets\": [0, " +
                         std::to_string(4 * width) + "]}, " + at + "B.weight\": {\"dtype\": \"F32\", \"shape\": [" + std::to_string(vocab) +
                         ", 1], \"data_offsets\": [" + std::to_string(4 * width) + ", " + std::to_string(4 * values.size()) + "]}}";
    header.append((8 - header.size() % 8) % 8, ' ');
    std::uint64_t length = header.size();
    for (int i = 0; i < 8; ++i) weights.push_back(static_cast<char>(length >> (8 * i)));
    weights += header;
    weights.append(reinterpret_cast<const char*>(values.data()), 4 * values.size());
  }
  std::vector<ponder_memory_file> list() const {
    return {{"adapter_config.json", config.data(), config.size()}, {"adapter_model.safetensors", weights.data(), weights.size()}};
  }
  std::string config, weights;
};

}  // namespace capi_test
