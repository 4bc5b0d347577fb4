#include <algorithm>
#include <cstring>
#include <limits>
#include <map>

#include "lib/base/format.h"
#include "lib/model/file_binder.h"

namespace ponder::core {
namespace {

class CheckpointBinder final : public FileBinder {
 public:
  CheckpointBinder(const Checkpoint& checkpoint, const LoadOptions& options, bool with_data, ModelWeights& weights)
      : FileBinder("config.json", options, with_data, checkpoint.tensors().size(), weights), checkpoint_(checkpoint) {
    for (const UnusableTensor& tensor : checkpoint.unusable()) unusable_.emplace(tensor.name, tensor.reason);
  }

  // FP8 or not is decided per tensor, by its dtype.
  Weight matrix(const std::string& name, std::int64_t n_out, std::int64_t n_in, Component component) override {
    const TensorInfo* info = want(name, Shape{n_out, n_in});
    if (!info) return {};
    Weight weight;
    weight.type = info->type;
    weight.data = info->bytes.data();
    weight.n_out = static_cast<std::size_t>(n_out);
    weight.n_in = static_cast<std::size_t>(n_in);
    const bool is_fp8 = info->type == DType::f8_e4m3;
    if (!is_fp8 && info->type != DType::bf16 && info->type != DType::f16 && info->type != DType::f32) {
      problem(formatted("{}: dtype {}, wanted BF16, F16, F32 or F8_E4M3", name, dtype_name(info->type)));
      return {};
    }
    bound(info->type, info->bytes.size(), component, n_out * n_in);
    if (is_fp8) {
      const TensorInfo* scale = want(name + "_scale_inv", Shape{(n_out + 127) / 128, (n_in + 127) / 128});
      if (!scale) return {};
      if (scale->type != DType::f32) {
        problem(formatted("{}: dtype {}, wanted F32", scale->name, dtype_name(scale->type)));
        return {};
      }
      bound(scale->type, scale->bytes.size(), component, 0);
      weight.scale_inv = aligned_scales(*scale);
    }
    return weight;
  }

  const float* vector(const std::string& name, std::int64_t n, Component component) override {
    const TensorInfo* info = want(name, Shape{n});
    return info ? bind_vector(*info, n, component) : nullptr;
  }

  bool has(const std::string& name) const override { return checkpoint_.find(name) != nullptr; }

  void warn_surplus(const Config& config, std::vector<std::string>& warnings) const override {
    std::vector<std::string> other;
    std::size_t n_inv_freq = 0, n_mtp = 0;
    std::int64_t first_mtp = std::numeric_limits<std::int64_t>::max();
    for (const TensorInfo* info : checkpoint_.tensors()) {
      if (is_used(info)) continue;
      if (info->name.ends_with("rotary_emb.inv_freq")) {
        ++n_inv_freq;
      } else if (const std::int64_t layer = layer_of(info->name, "model.layers."); layer >= config.num_hidden_layers) {
        ++n_mtp;
        first_mtp = std::min(first_mtp, layer);
      } else if (info->name == "lm_head.weight") {
        warnings.push_back("lm_head.weight is not used: tie_word_embeddings makes embed_tokens the head");
      } else {
        other.push_back(formatted("{} is not used", info->name));
      }
    }
    for (const auto& [name, reason] : unusable_) other.push_back(formatted("{} is not used: {}", name, reason));
    if (n_inv_freq) warnings.push_back(formatted("{} rotary_emb.inv_freq tensors are not used", n_inv_freq));
    warn_mtp_tensors(n_mtp, first_mtp, warnings);
    warn_other(other, warnings);
  }

 private:
  const TensorInfo* want(const std::string& name, const Shape& shape) {
    if (!go_on()) return nullptr;
    const TensorInfo* info = checkpoint_.find(name);
    if (!info) {
      const auto reason = unusable_.extract(name);
      problem(formatted("{}: {}, wanted {}", name, reason ? reason.mapped() : "missing", shape.to_string()));
      return nullptr;
    }
    use(info);
    if (!(info->shape == shape)) {
      problem(formatted("{}: shape {}, wanted {}", name, info->shape.to_string(), shape.to_string()));
      return nullptr;
    }
    return info;
  }

  const float* aligned_scales(const TensorInfo& scale) {
    if (!with_data()) return nullptr;
    if (reinterpret_cast<std::uintptr_t>(scale.bytes.data()) % alignof(float) == 0)
      return reinterpret_cast<const float*>(scale.bytes.data());
    float* copy = allocate_floats(scale.bytes.size() / 4);
    if (copy) std::memcpy(copy, scale.bytes.data(), scale.bytes.size());
    return copy;
  }

  const Checkpoint& checkpoint_;
  std::map<std::string_view, std::string_view> unusable_;  // name, reason; without those that were wanted
};

}  // namespace

std::unique_ptr<FileBinder> bind_checkpoint(const Checkpoint& checkpoint, const LoadOptions& options, bool with_data,
                                            ModelWeights& weights) {
  return std::make_unique<CheckpointBinder>(checkpoint, options, with_data, weights);
}

}  // namespace ponder::core
