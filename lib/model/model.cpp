#include "lib/model/model.h"

#include <cstring>

#include "lib/io/mapped_file.h"
#include "lib/model/loader.h"

namespace ponder::core {

Result<std::shared_ptr<const Model>> Model::load(std::shared_ptr<const FileSource> source, const LoadOptions& options) {
  if (!source) return {Code::invalid_argument, "the source of the model must not be null"};
  return ModelLoader::load(*source, options);
}

Result<ModelInspection> Model::inspect(const FileSource& source) { return ModelLoader::inspect(source); }

Result<std::shared_ptr<const Model>> Model::random(const Json& config, DType dtype, std::int64_t n_layers,
                                                   std::uint64_t seed, std::shared_ptr<Memory> memory) {
  return ModelLoader::random(config, dtype, n_layers, seed, std::move(memory));
}

void ModelWeights::let_go(const Weight& w) const {
  const auto let_go = [this](const std::byte* data, std::size_t n_bytes) {
    for (const FileView& file : files) {
      if (!file.mapping || data < file.bytes.data() || data + n_bytes > file.bytes.data() + file.bytes.size()) continue;
      file.mapping->let_go({data, n_bytes});
    }
  };
  let_go(w.data + w.first_row * w.row_stride_bytes(), w.n_out * w.row_stride_bytes());
  if (w.scale_inv)
    let_go(reinterpret_cast<const std::byte*>(w.scale_inv + w.first_row / 128 * w.n_scale_cols()),
           (w.n_out + 127) / 128 * w.n_scale_cols() * sizeof(float));
}

void Fingerprint::add(std::uint64_t value) {
  state_ = (state_ ^ value) * 0x9e3779b97f4a7c15u;
  state_ ^= state_ >> 29;
}

void Fingerprint::add(const void* data, std::size_t n_bytes) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  for (std::size_t i = 0; i < n_bytes; i += 8) {
    std::uint64_t word = 0;  // little endian, whatever the host
    for (std::size_t k = 0; k < 8 && i + k < n_bytes; ++k) word |= std::uint64_t{bytes[i + k]} << (8 * k);
    add(word);
  }
}

void Fingerprint::add_tensor(std::string_view name, DType type, const Shape& shape, const std::byte* data,
                             std::size_t n_bytes) {
  add(name);
  add(static_cast<std::uint64_t>(type));
  for (std::size_t i = 0; i < shape.n_dims(); ++i) add(static_cast<std::uint64_t>(shape[i]));
  if (!data) return;
  const std::size_t sample = n_bytes < 64 ? n_bytes : 64;
  add(data, sample);
  add(data + (n_bytes - sample), sample);
}

std::uint64_t Fingerprint::value() const {
  std::uint64_t h = state_;
  h = (h ^ (h >> 31)) * 0xbf58476d1ce4e5b9u;
  return h ^ (h >> 30);
}

}  // namespace ponder::core
