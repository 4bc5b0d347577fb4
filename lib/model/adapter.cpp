#include "lib/model/adapter.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "lib/base/format.h"
#include "lib/io/json.h"
#include "lib/io/safetensors.h"
#include "lib/model/adapter_config.h"
#include "lib/model/loader.h"

namespace ponder::core {

namespace {

constexpr std::string_view kConfigFile = "adapter_config.json", kWeightsFile = "adapter_model.safetensors";
constexpr std::string_view kPrefix = "base_model.model.";

// The linear layer that a tensor belongs to, and which of the two it is.
struct Half {
  std::string layer;
  bool is_a = false;
};

// base_model.model.<layer>.lora_A.weight; the name of the adapter may stand before "weight" (".default").
Result<Half> parse_name(std::string_view name) {
  std::string_view rest = name;
  if (!rest.starts_with(kPrefix)) return fail(Code::bad_file, "{}: the name does not begin with {}", name, kPrefix);
  rest.remove_prefix(kPrefix.size());
  for (const std::string_view half : {".lora_A.", ".lora_B."}) {
    const std::size_t at = rest.rfind(half);
    if (at == rest.npos) continue;
    const std::string_view tail = rest.substr(at + half.size());
    if (tail != "weight" && tail != "default.weight") break;
    return Half{std::string(rest.substr(0, at)), half == ".lora_A."};
  }
  return fail(Code::unsupported, "{}: of adapters only lora_A.weight and lora_B.weight are supported (no biases, embeddings, "
              "DoRA magnitudes or modules_to_save)", name);
}

bool is_finite(DType type, std::span<const std::byte> bytes) {
  const auto all = [&](auto word, auto exponent) {
    for (std::size_t i = 0; i + sizeof word <= bytes.size(); i += sizeof word) {
      std::memcpy(&word, bytes.data() + i, sizeof word);
      if ((word & exponent) == exponent) return false;  // all bits of the exponent: infinity or NaN
    }
    return true;
  };
  if (type == DType::f32) return all(std::uint32_t{0}, std::uint32_t{0x7f800000});
  return type == DType::f16 ? all(std::uint16_t{0}, std::uint16_t{0x7c00}) : all(std::uint16_t{0}, std::uint16_t{0x7f80});
}

}  // namespace

class AdapterLoader {
 public:
  static Result<std::shared_ptr<const Adapter>> load(std::shared_ptr<const Model> model, const FileSource& source,
                                                     std::shared_ptr<Memory> memory);

 private:
  struct Pair {
    const TensorInfo *a = nullptr, *b = nullptr;
  };
  static Status check(const TensorInfo& info, std::int64_t n_rows, std::int64_t n_cols);
  static Status add(Adapter& adapter, const AdapterConfig& config, const std::string& layer, const Pair& pair);
  static Result<Weight> permuted(Adapter& adapter, const TensorInfo& info, const Linear& linear);
};

// n_rows, n_cols: -1 for the rank.
Status AdapterLoader::check(const TensorInfo& info, std::int64_t n_rows, std::int64_t n_cols) {
  if (info.type != DType::f32 && info.type != DType::f16 && info.type != DType::bf16)
    return fail(Code::unsupported, "{}: {}, want F32, F16 or BF16", info.name, dtype_name(info.type));
  const bool fits = info.shape.n_dims() == 2 && info.shape[0] > 0 && info.shape[1] > 0 &&
                    (n_rows < 0 || info.shape[0] == n_rows) && (n_cols < 0 || info.shape[1] == n_cols);
  const auto size = [](std::int64_t n) { return n < 0 ? std::string("r") : std::to_string(n); };
  if (!fits)
    return fail(Code::bad_file, "{}: shape {}, the model wants [{}, {}]", info.name, info.shape.to_string(), size(n_rows),
                size(n_cols));
  if (!is_finite(info.type, info.bytes)) return fail(Code::numeric, "{}: a value is NaN or infinite", info.name);
  return {};
}

// Rows of each head from halves (i, i + head_rows / 2) to pairs, as GGUF's converter permutes q_proj and k_proj.
Result<Weight> AdapterLoader::permuted(Adapter& adapter, const TensorInfo& info, const Linear& linear) {
  PONDER_ASSIGN(Buffer copy, Buffer::allocate(info.bytes.size()));
  const std::size_t n_rows = linear.n_out, stride = info.bytes.size() / n_rows, half = linear.head_rows / 2;
  for (std::size_t row = 0; row < n_rows; ++row) {
    const std::size_t head = row / linear.head_rows, in_head = row % linear.head_rows;
    const std::size_t from = head * linear.head_rows + in_head % 2 * half + in_head / 2;
    std::memcpy(copy.data() + row * stride, info.bytes.data() + from * stride, stride);
  }
  Weight w;
  w.data = copy.data();
  adapter.owned_.push_back(std::move(copy));
  return w;
}

Status AdapterLoader::add(Adapter& adapter, const AdapterConfig& config, const std::string& layer, const Pair& pair) {
  const std::string at = std::string(kPrefix) + layer;
  const TensorInfo& known = pair.a ? *pair.a : *pair.b;
  auto linear = find_linear(adapter.model_->config(), adapter.model_->weights(), layer);
  if (!linear.ok()) return Status(Code::bad_file, std::string(linear.status().message())).with_prefix(known.name);
  if (!pair.a || !pair.b)
    return fail(Code::bad_file, "{}: there is no {}.lora_{}.weight beside it", known.name, at, pair.a ? "B" : "A");
  PONDER_TRY(check(*pair.a, -1, static_cast<std::int64_t>(linear->n_in)));
  PONDER_TRY(check(*pair.b, static_cast<std::int64_t>(linear->n_out), pair.a->shape[0]));
  PONDER_ASSIGN(const AdapterConfig::Layer settings, config.layer(layer));
  const std::int64_t rank = pair.a->shape[0];
  if (rank != settings.rank)
    return fail(Code::bad_file, "{}: shape {}, {} wants rank {}", pair.a->name, pair.a->shape.to_string(), kConfigFile,
                settings.rank);
  if (rank > static_cast<std::int64_t>(ops::LowRanks::kMaxRank))
    return fail(Code::unsupported, "{}: rank {}, at most {} are supported", pair.a->name, rank, ops::LowRanks::kMaxRank);

  const auto view = [](Weight& w, const TensorInfo& info) {
    w.type = info.type;
    if (!w.data) w.data = info.bytes.data();
    w.n_out = static_cast<std::size_t>(info.shape[0]);
    w.n_in = static_cast<std::size_t>(info.shape[1]);
  };
  Adapter::Part part{layer, linear->weight, {}};
  if (linear->head_rows > 0) {
    PONDER_ASSIGN(part.low_rank.b, permuted(adapter, *pair.b, *linear));
  }
  view(part.low_rank.a, *pair.a);
  view(part.low_rank.b, *pair.b);
  part.low_rank.scale = static_cast<float>(settings.scale);
  adapter.n_parameters_ += pair.a->shape.n_elements() + pair.b->shape.n_elements();
  adapter.max_rank_ = std::max(adapter.max_rank_, part.low_rank.rank());
  adapter.parts_.push_back(std::move(part));
  return {};
}

Result<std::shared_ptr<const Adapter>> AdapterLoader::load(std::shared_ptr<const Model> model, const FileSource& source,
                                                           std::shared_ptr<Memory> memory) {
  PONDER_TRY(source.check());
  PONDER_ASSIGN(const FileView config_file, source.open(kConfigFile));
  PONDER_ASSIGN(const Json json, parse_json(config_file.text(), kConfigFile));
  PONDER_ASSIGN(const AdapterConfig config, AdapterConfig::parse(json));
  std::shared_ptr<Adapter> adapter(new Adapter);
  adapter->model_ = std::move(model);
  PONDER_ASSIGN(adapter->file_, source.open(kWeightsFile));
  adapter->charge_ = MemoryCharge(std::move(memory), MemoryUse::weights);
  PONDER_TRY(adapter->charge_.raise_to(adapter->file_.bytes.size()));
  PONDER_ASSIGN(const Safetensors tensors, Safetensors::parse(adapter->file_));
  if (!tensors.unusable().empty())
    return fail(Code::unsupported, "{}: {}", tensors.unusable()[0].name, tensors.unusable()[0].reason);

  std::map<std::string, Pair> layers;
  Fingerprint fingerprint;
  for (const TensorInfo& info : tensors.tensors()) {
    PONDER_ASSIGN(const Half half, parse_name(info.name));
    const TensorInfo*& place = half.is_a ? layers[half.layer].a : layers[half.layer].b;
    if (place) return fail(Code::bad_file, "{} and {} are of the same layer", place->name, info.name);
    place = &info;
  }
  if (layers.empty()) return fail(Code::bad_file, "{}: no tensors", kWeightsFile);
  for (const auto& [layer, pair] : layers) {
    PONDER_TRY(add(*adapter, config, layer, pair));
    for (const TensorInfo* info : {pair.a, pair.b})
      fingerprint.add_tensor(info->name, info->type, info->shape, info->bytes.data(), info->bytes.size());
    const float scale = adapter->parts_.back().low_rank.scale;
    fingerprint.add(&scale, sizeof scale);
  }
  adapter->fingerprint_ = fingerprint.value();
  return std::shared_ptr<const Adapter>(std::move(adapter));
}

Result<std::shared_ptr<const Adapter>> Adapter::load(std::shared_ptr<const Model> model, const FileSource& source,
                                                     std::shared_ptr<Memory> memory) {
  return AdapterLoader::load(std::move(model), source, std::move(memory));
}

Result<std::shared_ptr<const AdapterSet>> AdapterSet::create(const Model& model, std::span<const AdapterUse> uses) {
  std::shared_ptr<AdapterSet> set(new AdapterSet);
  Fingerprint fingerprint;
  for (std::size_t i = 0; i < uses.size(); ++i) {
    const AdapterUse& use = uses[i];
    if (!use.adapter) return fail(Code::invalid_argument, "adapters[{}] is null", i);
    if (&use.adapter->model() != &model) return fail(Code::invalid_argument, "adapters[{}] belongs to another model", i);
    if (!std::isfinite(use.scale)) return fail(Code::invalid_argument, "adapters[{}]: its scale is no number", i);
    for (std::size_t k = 0; k < i; ++k)
      if (uses[k].adapter == use.adapter) return fail(Code::invalid_argument, "adapters[{}] and adapters[{}] are the same", k, i);
    if (use.scale == 0) continue;
    set->uses_.push_back(use);
    for (const Adapter::Part& part : use.adapter->parts()) {
      ops::LowRank scaled = part.low_rank;
      scaled.scale *= use.scale;
      set->low_ranks_.add(part.weight, scaled);
    }
    fingerprint.add(use.adapter->fingerprint());
    fingerprint.add(&use.scale, sizeof use.scale);
  }
  if (set->uses_.empty()) return std::shared_ptr<const AdapterSet>();
  set->low_ranks_.finish();
  set->fingerprint_ = fingerprint.value();
  return std::shared_ptr<const AdapterSet>(std::move(set));
}

bool AdapterSet::operator==(const AdapterSet& other) const {
  return std::equal(uses_.begin(), uses_.end(), other.uses_.begin(), other.uses_.end(), [](const AdapterUse& a, const AdapterUse& b) {
    return a.adapter == b.adapter && a.scale == b.scale;
  });
}

}  // namespace ponder::core
