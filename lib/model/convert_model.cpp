#include "lib/model/convert_model.h"

#include <memory>

#include "lib/base/format.h"
#include "lib/model/gguf_keys.h"
#include "lib/model/tensor_converter.h"

namespace ponder::core {
namespace {

class MemoryTarget final : public TensorConverter::Target {
 public:
  MemoryTarget(std::uint64_t total_bytes, const std::function<bool(float)>& progress)
      : total_bytes_(total_bytes), progress_(progress) {}
  Status begin(std::byte* data) {
    next_ = data;
    return report();
  }
  Result<std::byte*> room(std::size_t) override { return next_; }
  Status filled(std::size_t n_bytes) override {
    next_ += n_bytes;
    done_ += n_bytes;
    return report();
  }

 private:
  Status report() const {
    if (progress_ && !progress_(static_cast<float>(done_) / static_cast<float>(total_bytes_)))
      return {Code::cancelled, "the load was cancelled"};
    return {};
  }

  std::uint64_t total_bytes_, done_ = 0;
  const std::function<bool(float)>& progress_;
  std::byte* next_ = nullptr;
};

// The bytes of the tensor where the model has them just so. Experts do where they lie behind each other, as in GGUF.
const std::byte* in_place(const GgufTensorSource& tensor) {
  if (tensor.weights.empty() || tensor.rows != GgufTensorSource::Rows::all) return nullptr;
  const std::byte* next = tensor.weights.front()->data;
  for (const Weight* w : tensor.weights) {
    if (w->type != tensor.out.type || w->data != next) return nullptr;
    next += w->n_out * w->row_stride_bytes();
  }
  return tensor.weights.front()->data;
}

}  // namespace

Result<ConvertedModel> convert_model(const Context& ctx, const Model& model, const Mix& mix, std::string_view name,
                                     const std::function<bool(float)>& progress) {
  GgufMetadata metadata;
  metadata.add_string("general.architecture", gguf_architecture(model.config()));
  PONDER_TRY(add_model_keys(model.config(), metadata).with_prefix("weight_type"));
  PONDER_ASSIGN(const std::vector<GgufTensorSource> tensors, gguf_tensors(model, mix, false));
  ConvertedModel converted;
  converted.warnings = conversion_warnings(tensors);
  std::uint64_t total_bytes = 1;
  for (const GgufTensorSource& tensor : tensors)
    if (!in_place(tensor)) total_bytes += tensor.out.n_bytes();

  converted.charge = MemoryCharge(ctx.memory, MemoryUse::weights);
  PONDER_TRY(converted.charge.raise_to(total_bytes - 1).with_prefix(formatted("{} as {}", name, mix.name)));
  TensorConverter converter(ctx, model, nullptr);
  MemoryTarget target(total_bytes, progress);
  std::vector<TensorInfo> infos;
  for (const GgufTensorSource& tensor : tensors) {
    const auto n_bytes = static_cast<std::size_t>(tensor.out.n_bytes());
    const std::byte* data = in_place(tensor);
    if (data) {
      converted.uses_files = true;
    } else {
      Result<Buffer> buffer = Buffer::allocate(n_bytes, ctx.memory);
      if (!buffer.ok()) return Status(buffer.status()).with_prefix(tensor.out.name);
      PONDER_TRY(target.begin(buffer->data()));
      PONDER_TRY(converter.convert(tensor, target));
      data = buffer->data();
      converted.buffers.push_back(std::move(buffer).value());
    }
    infos.push_back({tensor.out.name, tensor.out.type, tensor.out.shape, {data, n_bytes}});
  }

  PONDER_ASSIGN(std::string text, gguf_header(metadata, {}));
  const auto header = std::make_shared<const std::string>(std::move(text));
  PONDER_ASSIGN(Gguf file, Gguf::parse_metadata({std::string(name), std::as_bytes(std::span(*header)), header}, std::move(infos)));
  PONDER_ASSIGN(converted.checkpoint, GgufCheckpoint::of(std::move(file)));
  return converted;
}

}  // namespace ponder::core
