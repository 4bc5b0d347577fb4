#include <array>

#include "lib/model/loader.h"

namespace ponder::core {
namespace {

constexpr std::array<const char*, 9> kComponentNames = {"embedding",      "attention", "dense_ffn", "routed_experts",
                                                        "shared_experts", "router",    "norms",     "output_head", "mtp"};

// Binds nothing: takes down what is asked for.
class ExpectedTensors final : public TensorBinder {
 public:
  explicit ExpectedTensors(const Config& config) : fp8_(config.fp8_blocks) {
    if (config.torch_dtype == "float32") type_ = DType::f32;
    if (config.torch_dtype == "float16") type_ = DType::f16;
  }
  Weight matrix(const std::string& name, std::int64_t n_out, std::int64_t n_in, Component component) override {
    const bool fp8 = fp8_ && !stays_unquantised(name, component);
    add(component, fp8 ? DType::f8_e4m3 : type_, n_out * n_in, n_out * n_in);
    if (fp8) add(component, DType::f32, 0, (n_out + 127) / 128 * ((n_in + 127) / 128));
    return {};
  }
  const float* vector(const std::string& name, std::int64_t n, Component component) override {
    add(component, name.ends_with("e_score_correction_bias") ? DType::f32 : type_, n, n);
    return nullptr;
  }
  bool has(const std::string& name) const override {  // the official MTP layer has its own embedding and head
    return name.ends_with("embed_tokens.weight") || name.ends_with("shared_head.head.weight");
  }
  bool go_on() override { return true; }
  std::vector<BoundTensor> take() { return std::move(tensors_); }

 private:
  void add(Component component, DType type, std::int64_t n_parameters, std::int64_t n_elements) {
    tensors_.push_back({component, type, n_parameters,
                        static_cast<std::int64_t>(row_bytes(type, static_cast<std::size_t>(n_elements)))});
  }
  bool fp8_;
  DType type_ = DType::bf16;
  std::vector<BoundTensor> tensors_;
};

}  // namespace

bool stays_unquantised(std::string_view name, Component component) {
  return component == Component::embedding || component == Component::output_head || component == Component::router ||
         name.ends_with("mlp.gate.weight") || name.ends_with("eh_proj.weight") ||
         name.ends_with("embed_tokens.weight") || name.ends_with("shared_head.head.weight");
}

std::vector<BoundTensor> expected_tensors(const Config& config) {
  ExpectedTensors binder(config);
  ModelWeights weights;
  bind_weights(config, config.num_nextn_predict_layers > 0, binder, weights);
  return binder.take();
}

ModelSummary summarize(const Config& config, const std::vector<BoundTensor>& tensors) {
  ModelSummary summary;
  std::array<std::int64_t, kComponentNames.size()> component_bytes{};
  std::array<std::int64_t, kDTypeCount> dtype_bytes{};
  std::int64_t n_routed = 0;
  for (const BoundTensor& tensor : tensors) {
    summary.weight_bytes += tensor.n_bytes;
    component_bytes[static_cast<std::size_t>(tensor.component)] += tensor.n_bytes;
    dtype_bytes[static_cast<std::size_t>(tensor.type)] += tensor.n_bytes;
    if (tensor.component == Component::mtp) continue;
    summary.n_parameters += tensor.n_parameters;
    if (tensor.component == Component::routed_experts) n_routed += tensor.n_parameters;
  }
  // Divided first: every expert has the same size, and the product could overflow.
  const std::int64_t n_active_routed =
      config.n_routed_experts > 0 ? n_routed / config.n_routed_experts * config.num_experts_per_tok : 0;
  summary.n_active_parameters = summary.n_parameters - n_routed + n_active_routed;
  const auto bytes_of = [&](Component component) { return component_bytes[static_cast<std::size_t>(component)]; };
  const std::int64_t routed_bytes = bytes_of(Component::routed_experts);
  summary.active_weight_bytes = summary.weight_bytes - bytes_of(Component::mtp) - routed_bytes;
  if (config.n_routed_experts > 0)
    summary.active_weight_bytes += routed_bytes / config.n_routed_experts * config.num_experts_per_tok;
  if (bytes_of(Component::output_head) > 0) summary.active_weight_bytes -= bytes_of(Component::embedding);
  for (std::size_t i = 0; i < component_bytes.size(); ++i)
    if (component_bytes[i] > 0) summary.bytes_by_component.emplace_back(kComponentNames[i], component_bytes[i]);
  for (std::size_t i = 0; i < dtype_bytes.size(); ++i)
    if (dtype_bytes[i] > 0)
      summary.bytes_by_dtype.emplace_back(std::string(dtype_name(static_cast<DType>(i))), dtype_bytes[i]);
  summary.kv_bytes_per_token = 4 * config.num_hidden_layers * config.kv_row_elements();
  return summary;
}

}  // namespace ponder::core
