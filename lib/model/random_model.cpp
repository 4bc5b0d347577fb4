#include <algorithm>
#include <cmath>
#include <cstring>

#include "lib/base/format.h"
#include "lib/model/loader.h"

namespace ponder::core {
namespace {

constexpr std::size_t kBlockElements = std::size_t{1} << 19;
constexpr float kDeviation = 0.02f;

struct Xorshift {
  std::uint64_t state;
  std::uint64_t next() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1du;
  }
};

// Nearest e4m3 of |value| < 448, by search: the positive codes are in ascending order.
std::uint8_t f32_to_e4m3(float value) {
  const float magnitude = std::fabs(value);
  std::uint8_t best = 0;
  float best_distance = magnitude;
  for (int code = 1; code < 0x7f; ++code) {
    const int exponent = code >> 3, mantissa = code & 7;
    const float decoded = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                                        : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
    if (std::fabs(decoded - magnitude) < best_distance) {
      best_distance = std::fabs(decoded - magnitude);
      best = static_cast<std::uint8_t>(code);
    }
  }
  return static_cast<std::uint8_t>(best | (value < 0 ? 0x80 : 0));
}

// Fills every matrix with copies of one block of random values per dtype, each from another place in the block: several
// GB in about the time that writing them takes.
class RandomBinder final : public TensorBinder {
 public:
  RandomBinder(DType type, std::uint64_t seed, ModelWeights& weights, Fingerprint& fingerprint,
               const std::shared_ptr<Memory>& memory, MemoryCharge& charge)
      : type_(type),
        random_{seed * 0x9e3779b97f4a7c15u | 1},
        weights_(weights),
        fingerprint_(fingerprint),
        memory_(memory),
        charge_(charge),
        block_charge_(memory, MemoryUse::other) {
    values_.reserve(4096);
    for (std::size_t i = 0; i < 4096; ++i) {
      float sum = 0;  // of four uniform values: close enough to a normal distribution
      for (int k = 0; k < 4; ++k) sum += static_cast<float>(random_.next() >> 40) / 16777216.0f - 0.5f;
      values_.push_back(sum * kDeviation * std::sqrt(3.0f));
    }
  }

  Weight matrix(const std::string& name, std::int64_t n_out, std::int64_t n_in, Component component) override {
    Weight weight;
    weight.type = type_ == DType::f8_e4m3 && stays_unquantised(name, component) ? DType::bf16 : type_;
    weight.n_out = static_cast<std::size_t>(n_out);
    weight.n_in = static_cast<std::size_t>(n_in);
    const std::size_t n_bytes = row_bytes(weight.type, weight.n_out * weight.n_in);
    std::byte* data = allocate(n_bytes);
    const std::vector<std::byte>& block = random_block(weight.type);
    if (!data || block.empty()) return {};
    const std::size_t element = element_bytes(weight.type);
    std::size_t from = random_.next() % kBlockElements * element;
    for (std::size_t at = 0; at < n_bytes;) {
      const std::size_t n = std::min(n_bytes - at, block.size() - from);
      std::memcpy(data + at, block.data() + from, n);
      at += n;
      // Not from the start again: with a power of two, rows of one width would repeat at once.
      from = random_.next() % (kBlockElements / 16) * element;
    }
    weight.data = data;
    bound(name, component, weight.type, Shape{n_out, n_in}, data, n_bytes, n_out * n_in);
    if (weight.type == DType::f8_e4m3) {
      const Shape shape{(n_out + 127) / 128, (n_in + 127) / 128};
      const auto n_scales = static_cast<std::size_t>(shape.n_elements());
      std::byte* scales = allocate(n_scales * sizeof(float));
      if (!scales) return {};
      auto* scale = reinterpret_cast<float*>(scales);
      for (std::size_t i = 0; i < n_scales; ++i)
        scale[i] = (0.75f + static_cast<float>(random_.next() >> 40) / 33554432.0f) / 1024.0f;
      weight.scale_inv = scale;
      bound(name + "_scale_inv", component, DType::f32, shape, scales, n_scales * sizeof(float), 0);
    }
    return weight;
  }

  const float* vector(const std::string& name, std::int64_t n, Component component) override {
    const auto size = static_cast<std::size_t>(n);
    std::byte* bytes = allocate(size * sizeof(float));
    if (!bytes) return nullptr;
    auto* data = reinterpret_cast<float*>(bytes);
    const float mean = name.ends_with("norm.weight") ? 1.0f : 0.0f;  // the others are biases
    for (std::size_t i = 0; i < size; ++i) data[i] = mean + values_[random_.next() % values_.size()];
    bound(name, component, DType::f32, Shape{n}, bytes, size * sizeof(float), n);
    return data;
  }

  bool has(const std::string&) const override { return false; }  // MTP shares the main embedding and head
  bool go_on() override { return status_.ok(); }
  const Status& status() const { return status_; }
  const std::vector<BoundTensor>& tensors() const { return bound_; }

 private:
  std::byte* allocate(std::size_t n_bytes) {
    if (!status_.ok()) return nullptr;
    status_ = charge_.raise_to(charge_.n_bytes() + n_bytes);
    if (!status_.ok()) return nullptr;
    Result<Buffer> buffer = Buffer::allocate(n_bytes, memory_);
    if (!buffer.ok()) {
      status_ = buffer.status();
      return nullptr;
    }
    weights_.owned.push_back(std::move(buffer).value());
    return weights_.owned.back().data();
  }

  // kBlockElements random values of one type; made once.
  const std::vector<std::byte>& random_block(DType type) {
    std::vector<std::byte>& block = type == type_ ? block_ : bf16_block_;
    if (!block.empty()) return block;
    const std::size_t element = element_bytes(type);
    std::vector<std::byte> codes(values_.size() * element);
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const float value = values_[i];
      const std::uint16_t half = type == DType::bf16 ? f32_to_bf16(value) : f32_to_f16(value);
      const std::uint8_t e4m3 = type == DType::f8_e4m3 ? f32_to_e4m3(value * 1024.0f) : std::uint8_t{0};
      const void* from = type == DType::f32       ? static_cast<const void*>(&value)
                         : type == DType::f8_e4m3 ? static_cast<const void*>(&e4m3)
                                                  : static_cast<const void*>(&half);
      std::memcpy(codes.data() + i * element, from, element);
    }
    status_ = block_charge_.add(kBlockElements * element);
    if (!status_.ok()) return block;
    block.resize(kBlockElements * element);
    for (std::size_t i = 0; i < kBlockElements; ++i)
      std::memcpy(block.data() + i * element, codes.data() + random_.next() % values_.size() * element, element);
    return block;
  }

  void bound(const std::string& name, Component component, DType type, const Shape& shape, const std::byte* data,
             std::size_t n_bytes, std::int64_t n_parameters) {
    bound_.push_back({component, type, n_parameters, static_cast<std::int64_t>(n_bytes)});
    fingerprint_.add_tensor(name, type, shape, data, n_bytes);
  }

  DType type_;
  Xorshift random_;
  ModelWeights& weights_;
  Fingerprint& fingerprint_;
  const std::shared_ptr<Memory>& memory_;
  MemoryCharge& charge_;
  MemoryCharge block_charge_;
  std::vector<float> values_;
  std::vector<std::byte> block_, bf16_block_;
  std::vector<BoundTensor> bound_;
  Status status_;
};

}  // namespace

Result<std::shared_ptr<const Model>> ModelLoader::random(const Json& json, DType dtype, std::int64_t n_layers,
                                                         std::uint64_t seed, std::shared_ptr<Memory> memory) {
  if (dtype != DType::f32 && dtype != DType::f16 && dtype != DType::bf16 && dtype != DType::f8_e4m3)
    return fail(Code::invalid_argument, "dtype {}: random weights are F32, F16, BF16 or F8_E4M3", dtype_name(dtype));
  if (n_layers < 0) return fail(Code::invalid_argument, "n_layers is {}, wanted 0 (all) or more", n_layers);
  std::shared_ptr<Model> model(new Model);
  PONDER_ASSIGN(model->config_, Config::parse(json));
  Config& config = model->config_;
  if (n_layers > 0) config.num_hidden_layers = std::min(n_layers, config.num_hidden_layers);
  config.fp8_blocks = dtype == DType::f8_e4m3;

  Fingerprint fingerprint;
  fingerprint.add(dump_json(json));
  model->charge_ = MemoryCharge(memory, MemoryUse::weights);
  RandomBinder binder(dtype, seed, model->weights_, fingerprint, memory, model->charge_);
  bind_weights(config, config.num_nextn_predict_layers > 0, binder, model->weights_);
  PONDER_TRY(Status(binder.status()));
  model->summary_ = summarize(config, binder.tensors());
  model->memory_bytes_ = static_cast<std::int64_t>(model->charge_.n_bytes());
  model->fingerprint_ = fingerprint.value();
  model->tokenizer_status_ = Status(Code::no_tokenizer, "a model with random weights has no tokenizer");
  model->chat_template_status_ = model->tokenizer_status_;
  return std::shared_ptr<const Model>(std::move(model));
}

}  // namespace ponder::core
