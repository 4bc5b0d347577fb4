#include <array>

#include "lib/model/loader.h"

namespace ponder::core {
namespace {

constexpr std::array<const char*, 9> kComponentNames = {"embedding",      "attention", "dense_ffn", "routed_experts",
                                                        "shared_experts", "router",    "norms",     "output_head", "mtp"};

}  // namespace

ModelSummary summarize(const Config& config, const std::vector<BoundTensor>& tensors) {
  ModelSummary summary;
  std::array<std::int64_t, kComponentNames.size()> component_bytes{};
  std::array<std::int64_t, 16> dtype_bytes{};
  std::int64_t n_routed = 0;
  for (const BoundTensor& tensor : tensors) {
    summary.weight_bytes += tensor.n_bytes;
    component_bytes[static_cast<std::size_t>(tensor.component)] += tensor.n_bytes;
    dtype_bytes[static_cast<std::size_t>(tensor.type) % dtype_bytes.size()] += tensor.n_bytes;
    if (tensor.component == Component::mtp) continue;
    summary.n_parameters += tensor.n_parameters;
    if (tensor.component == Component::routed_experts) n_routed += tensor.n_parameters;
  }
  // Divided first: every expert has the same size, and the product could overflow.
  const std::int64_t n_active_routed =
      config.n_routed_experts > 0 ? n_routed / config.n_routed_experts * config.num_experts_per_tok : 0;
  summary.n_active_parameters = summary.n_parameters - n_routed + n_active_routed;
  for (std::size_t i = 0; i < component_bytes.size(); ++i)
    if (component_bytes[i] > 0) summary.bytes_by_component.emplace_back(kComponentNames[i], component_bytes[i]);
  for (std::size_t i = 0; i < dtype_bytes.size(); ++i)
    if (dtype_bytes[i] > 0)
      summary.bytes_by_dtype.emplace_back(std::string(dtype_name(static_cast<DType>(i))), dtype_bytes[i]);
  summary.kv_bytes_per_token = 4 * config.num_hidden_layers * config.kv_row_elements();
  return summary;
}

}  // namespace ponder::core
