// GGUF (github.com/ggml-org/ggml, docs/gguf.md): metadata, tensor table, data. Versions 2 and 3, little endian, read in
// place: everything is checked before it is used, and nothing is copied but names and the table.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lib/base/memory.h"
#include "lib/base/status.h"
#include "lib/io/file_source.h"
#include "lib/io/tensor_info.h"

namespace ponder::core {

// The format's numbers.
enum class GgufType : std::uint32_t {
  u8 = 0, i8 = 1, u16 = 2, i16 = 3, u32 = 4, i32 = 5, f32 = 6, boolean = 7, string = 8, array = 9,
  u64 = 10, i64 = 11, f64 = 12,
};
std::string_view gguf_type_name(GgufType type);

// One metadata value: a scalar, a string, or an array of either (arrays of arrays are refused). A view of the file.
class GgufValue {
 public:
  GgufValue(GgufType type, bool is_array, std::uint64_t count, std::span<const std::byte> bytes)
      : type_(type), is_array_(is_array), count_(count), bytes_(bytes) {}

  GgufType type() const { return type_; }  // of the value, or of the elements of an array
  bool is_array() const { return is_array_; }
  std::uint64_t count() const { return count_; }  // elements; 1 without an array
  std::span<const std::byte> bytes() const { return bytes_; }  // as in the file, after type and count
  std::string describe() const;                   // for messages: "u32 7", "an array of 3 f32"

  // Nothing when the value is of another type: integer() takes every integer type that fits, number() also integers.
  std::optional<std::int64_t> integer() const;
  std::optional<double> number() const;
  std::optional<bool> boolean() const;
  std::optional<std::string_view> string() const;
  // Of an array; a scalar is no array of one.
  std::optional<std::vector<std::int64_t>> integers() const;
  std::optional<std::vector<double>> numbers() const;
  std::optional<std::vector<std::string_view>> strings() const;

 private:
  GgufType type_;
  bool is_array_;
  std::uint64_t count_;
  std::span<const std::byte> bytes_;  // as in the file, after type and count
};

// One .gguf file.
class Gguf {
 public:
  struct Entry {
    std::string_view key;  // in the file
    GgufValue value;
  };

  Gguf() = default;
  Gguf(Gguf&&) = default;  // the names stay where they are
  Gguf& operator=(Gguf&&) = default;
  Gguf(const Gguf&) = delete;  // by_name_ points into tensors_
  Gguf& operator=(const Gguf&) = delete;

  // Checks: magic, version, byte order; counts that the file has room for; keys and strings valid UTF-8, no key or
  // tensor twice; booleans 0 or 1; an alignment that is a power of two; known types (an unknown one is refused with the
  // tensor's name); at most four dimensions, no product beyond 2^63, rows of whole blocks; data aligned, in the file,
  // not shared.
  // memory (may be null): counts the table.
  static Result<Gguf> parse(FileView file, MemoryCharge* memory = nullptr);
  // The metadata of a file without tensors, and tensors that lie elsewhere: whole and in bounds, names unique.
  static Result<Gguf> parse_metadata(FileView file, std::vector<TensorInfo> tensors);

  std::uint32_t version() const { return version_; }
  const std::vector<Entry>& metadata() const { return metadata_; }  // in the order of the file
  const GgufValue* find_value(std::string_view key) const;
  const std::vector<TensorInfo>& tensors() const { return tensors_; }  // in the order of the table
  const TensorInfo* find(std::string_view name) const;
  const FileView& file() const { return file_; }

 private:
  Status index_tensors(const std::string& what);

  FileView file_;
  std::uint32_t version_ = 0;
  std::vector<Entry> metadata_;
  std::vector<TensorInfo> tensors_;
  std::unordered_map<std::string_view, std::size_t> by_key_, by_name_;
};

// All tensors of a model: one file, or all parts of a split one (`NAME-00001-of-00003.gguf`, llama.cpp's gguf-split),
// opened by the name of any part. Metadata is that of the first part; the others carry only their number.
class GgufCheckpoint {
 public:
  static Result<GgufCheckpoint> open(const FileSource& source, std::string_view name, MemoryCharge* memory = nullptr);
  static Result<GgufCheckpoint> of(Gguf file);

  const Gguf& first() const { return *parts_.front(); }
  const GgufValue* find_value(std::string_view key) const { return first().find_value(key); }
  const TensorInfo* find(std::string_view name) const;
  const std::vector<const TensorInfo*>& tensors() const { return order_; }
  std::size_t total_bytes() const { return total_bytes_; }  // of the tensors, without headers and padding
  const std::vector<std::shared_ptr<const Gguf>>& parts() const { return parts_; }

 private:
  Status collect_tensors();

  std::vector<std::shared_ptr<const Gguf>> parts_;
  std::unordered_map<std::string_view, const TensorInfo*> by_name_;
  std::vector<const TensorInfo*> order_;
  std::size_t total_bytes_ = 0;
};

}  // namespace ponder::core
