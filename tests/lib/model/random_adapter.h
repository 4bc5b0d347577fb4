// Adapters with random values, and the checkpoint that they would make of a model: W + sum of scale B A in f64, then f32.
#pragma once

#include <cmath>
#include <random>

#include "kernels/base/table.h"
#include "lib/model/adapter.h"
#include "lib/ops/ops.h"
#include "lib/ops/weight_rows.h"
#include "tests/lib/model/editable_checkpoint.h"

namespace ponder::test {

struct RandomAdapter {
  struct Part {
    std::size_t rank, n_out, n_in;
    std::vector<float> a, b;
  };
  std::map<std::string, Part> parts;  // by layer name
  core::Json config{core::Json::Object()};
  double alpha = 3;
  std::map<std::string, double> scales;  // of each layer, as adapter_config.json makes them
  Files files;

  // For all linear layers whose name `wanted` takes, ranks 1 to 4.
  template <class Wanted>
  RandomAdapter(const Editable& checkpoint, const core::Model& model, unsigned seed, Wanted&& wanted) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    core::Json ranks{core::Json::Object()};
    for (const auto& [tensor, entry] : checkpoint.tensors) {
      if (!tensor.ends_with(".weight")) continue;
      const std::string layer = tensor.substr(0, tensor.size() - 7);
      const auto linear = core::find_linear(model.config(), model.weights(), layer);
      if (!linear.ok() || !wanted(layer)) continue;
      Part part{1 + random() % 4, linear->n_out, linear->n_in, {}, {}};
      // Additions of about a third of the weights (N(0, 0.02) to N(0, 0.1)), so that whatever is left out shows.
      const float size = 0.2f / std::sqrt(std::sqrt(static_cast<float>(linear->n_in)));
      part.a.resize(part.rank * part.n_in), part.b.resize(part.n_out * part.rank);
      for (float& v : part.a) v = size * normal(random);
      for (float& v : part.b) v = size * normal(random);
      if (part.rank != 2) ranks.set(layer, static_cast<std::int64_t>(part.rank));
      scales[layer] = alpha / static_cast<double>(part.rank);
      parts[layer] = std::move(part);
    }
    config.set("peft_type", "LORA");
    config.set("r", 2);
    config.set("lora_alpha", 3);
    config.set("rank_pattern", ranks);
    build();
  }
  RandomAdapter(const Editable& checkpoint, const core::Model& model, unsigned seed)
      : RandomAdapter(checkpoint, model, seed, [](const std::string&) { return true; }) {}

  void build() {
    std::vector<core::TensorToWrite> list;
    for (const auto& [layer, part] : parts) {
      const auto shape = [](std::size_t rows, std::size_t cols) {
        return core::Shape{static_cast<std::int64_t>(rows), static_cast<std::int64_t>(cols)};
      };
      const std::string at = "base_model.model." + layer;
      list.push_back({at + ".lora_A.weight", core::DType::f32, shape(part.rank, part.n_in), std::as_bytes(std::span(part.a))});
      list.push_back({at + ".lora_B.weight", core::DType::f32, shape(part.n_out, part.rank), std::as_bytes(std::span(part.b))});
    }
    auto written = core::serialize_safetensors(list);
    REQUIRE_MESSAGE(written.ok(), written.status().message());
    files["adapter_model.safetensors"] = std::move(*written);
    files["adapter_config.json"] = core::dump_json(config);
  }
  // What is loaded views `files`.
  core::Result<std::shared_ptr<const core::Adapter>> try_load(std::shared_ptr<const core::Model> model) const& {
    return core::Adapter::load(std::move(model), *source_of(files));
  }
  core::Result<std::shared_ptr<const core::Adapter>> try_load(std::shared_ptr<const core::Model> model) const&& = delete;
  std::shared_ptr<const core::Adapter> load(std::shared_ptr<const core::Model> model) const& {
    auto adapter = try_load(std::move(model));
    REQUIRE_MESSAGE(adapter.ok(), adapter.status().message());
    return *adapter;
  }
  std::shared_ptr<const core::Adapter> load(std::shared_ptr<const core::Model> model) const&& = delete;
};

struct Merge {
  const RandomAdapter* adapter;
  double scale;
};

// The checkpoint of `model`, whose tensors are named as in `checkpoint`, in f32, with the adapters merged in.
inline Files merged(Editable checkpoint, const core::Model& model, const std::vector<Merge>& merges) {
  const auto pool = core::ThreadPool::create(1).value();
  const auto kernels = ponder::kernels::make_table(ponder::kernels::Isa::ref);
  core::Context ctx;
  ctx.kernels = &kernels;
  ctx.pool = pool.get();
  std::vector<std::string> names;
  for (const auto& [name, entry] : checkpoint.tensors) names.push_back(name);
  for (const std::string& name : names) {
    if (!name.ends_with(".weight")) continue;
    const std::string layer = name.substr(0, name.size() - 7);
    const auto linear = core::find_linear(model.config(), model.weights(), layer);
    const bool embedding = layer == "model.embed_tokens";
    if (!linear.ok() && !embedding) continue;
    const core::Weight& w = embedding ? model.weights().embed_tokens : *linear->weight;
    std::vector<float> values(w.n_out * w.n_in);
    core::ops::dequantize(ctx, core::Tensor(values.data(), w.n_out, w.n_in), w, 0);
    for (const Merge& merge : merges) {
      const auto at = merge.adapter->parts.find(layer);
      if (at == merge.adapter->parts.end()) continue;
      const RandomAdapter::Part& part = at->second;
      const double scale = merge.scale * merge.adapter->scales.at(layer);
      for (std::size_t i = 0; i < w.n_out; ++i)
        for (std::size_t k = 0; k < w.n_in; ++k) {
          double sum = 0;
          for (std::size_t r = 0; r < part.rank; ++r) sum += double{part.b[i * part.rank + r]} * double{part.a[r * part.n_in + k]};
          values[i * w.n_in + k] = static_cast<float>(double{values[i * w.n_in + k]} + scale * sum);
        }
    }
    Editable::Entry& entry = checkpoint.tensors[name];
    entry.type = core::DType::f32;
    entry.bytes.assign(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    checkpoint.tensors.erase(name + "_scale_inv");
  }
  return checkpoint.files();
}

}  // namespace ponder::test
