// Adapters from arbitrary bytes, and from a sound one with patches: a status, or an adapter whose parts fit the model.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/io/safetensors.h"
#include "lib/model/adapter.h"
#include "tests/fuzz/patches.h"

using namespace ponder::core;

namespace {

struct Sound {
  std::shared_ptr<const Model> model = Model::load(folder_source(PONDER_TEST_DATA "/models/v3-tiny"), {}).value();
  std::string config = R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "rank_pattern": {"kv_b_proj": 1}, "alpha_pattern": {"^.*q_.*": 3}})";
  std::string weights;
  Sound() {
    std::vector<TensorToWrite> list;
    const std::vector<float> values(1 << 16, 0.5f);
    for (const char* name : {"model.layers.0.mlp.up_proj", "model.layers.1.mlp.experts.2.down_proj", "model.layers.1.self_attn.kv_b_proj", "lm_head"}) {
      const Linear linear = find_linear(model->config(), model->weights(), name).value();
      const std::int64_t rank = std::string_view(name).ends_with("kv_b_proj") ? 1 : 2;
      const auto add = [&](const char* half, std::int64_t rows, std::int64_t cols) {
        list.push_back({std::string("base_model.model.") + name + half, DType::f32, Shape{rows, cols},
                        std::as_bytes(std::span(values)).first(static_cast<std::size_t>(rows * cols) * sizeof(float))});
      };
      add(".lora_A.weight", rank, static_cast<std::int64_t>(linear.n_in));
      add(".lora_B.weight", static_cast<std::int64_t>(linear.n_out), rank);
    }
    weights = serialize_safetensors(list).value();
  }
};

void check(const Sound& sound, const std::string& config, const std::string& weights) {
  const auto source = memory_source({{"adapter_config.json", std::as_bytes(std::span(config))},
                                     {"adapter_model.safetensors", std::as_bytes(std::span(weights))}});
  const auto adapter = Adapter::load(sound.model, *source);
  if (!adapter.ok()) {
    if (adapter.status().message().empty()) __builtin_trap();
    return;
  }
  for (const Adapter::Part& part : (*adapter)->parts()) {
    const auto linear = find_linear(sound.model->config(), sound.model->weights(), part.name);
    if (!linear.ok() || part.low_rank.a.n_in != linear->n_in || part.low_rank.b.n_out != linear->n_out ||
        part.low_rank.b.n_in != part.low_rank.rank() || part.low_rank.rank() == 0)
      __builtin_trap();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Sound sound;
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  check(sound, bytes, sound.weights);
  std::string config = sound.config, weights = sound.weights;
  std::string& patched = data[0] % 2 == 0 ? config : weights;
  for (std::span<const std::uint8_t> rest(data + 1, size - 1); rest.size() >= ponder::fuzz::kPatchBytes;
       rest = rest.subspan(ponder::fuzz::kPatchBytes))
    ponder::fuzz::apply_patch(patched, rest);
  check(sound, config, weights);
  return 0;
}
