// safetensors: u64 LE header length, JSON header, data. Read in place; every offset is checked before use.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lib/base/dtype.h"
#include "lib/base/memory.h"
#include "lib/base/status.h"
#include "lib/base/tensor.h"
#include "lib/io/file_source.h"
#include "lib/io/tensor_info.h"

namespace ponder::core {

// One .safetensors file.
class Safetensors {
 public:
  Safetensors() = default;
  Safetensors(Safetensors&&) = default;  // the names stay where they are
  Safetensors& operator=(Safetensors&&) = default;
  Safetensors(const Safetensors&) = delete;  // by_name_ points into tensors_
  Safetensors& operator=(const Safetensors&) = delete;

  // Checks: header length within the file, JSON valid and not too deep, no negative or overflowing size, offsets in
  // order inside the data, no overlap and no hole, size equal to shape x dtype, no name twice. A tensor of unknown dtype
  // or of more than four dimensions is unusable.
  // memory (may be null): counts the table, somewhat more than it takes, and keeps what the result takes.
  static Result<Safetensors> parse(FileView file, MemoryCharge* memory = nullptr);

  const std::vector<TensorInfo>& tensors() const { return tensors_; }  // in the order of their bytes
  const std::vector<UnusableTensor>& unusable() const { return unusable_; }
  const TensorInfo* find(std::string_view name) const;
  const FileView& file() const { return file_; }

 private:
  FileView file_;
  std::vector<TensorInfo> tensors_;
  std::vector<UnusableTensor> unusable_;
  std::unordered_map<std::string_view, std::size_t> by_name_;
};

// All tensors of a checkpoint folder: `model.safetensors.index.json` and its shards (weight_map alone counts; a tensor
// in a shard that the map does not name is ignored), or, without an index, exactly `model.safetensors`.
class Checkpoint {
 public:
  static Result<Checkpoint> open(const FileSource& source, MemoryCharge* memory = nullptr);  // as Safetensors::parse
  static bool exists(const FileSource& source);  // an index or model.safetensors is there

  const TensorInfo* find(std::string_view name) const;
  const std::vector<const TensorInfo*>& tensors() const { return order_; }
  // Named by the files, but of a kind that is not supported, or not in the shard where the index places it.
  const std::vector<UnusableTensor>& unusable() const { return unusable_; }
  std::size_t total_bytes() const { return total_bytes_; }  // of the tensors, without headers
  const std::vector<std::shared_ptr<const Safetensors>>& shards() const { return shards_; }

 private:
  std::vector<std::shared_ptr<const Safetensors>> shards_;
  std::unordered_map<std::string_view, const TensorInfo*> by_name_;
  std::vector<const TensorInfo*> order_;
  std::vector<UnusableTensor> unusable_;
  std::size_t total_bytes_ = 0;
};

// Writes tensors in the given order. Used by tests and tools.
struct TensorToWrite {
  std::string name;
  DType type;
  Shape shape;
  std::span<const std::byte> bytes;
};
Result<std::string> serialize_safetensors(std::span<const TensorToWrite> tensors);

}  // namespace ponder::core
