// Writes one GGUF file, version 3, little endian, front to back in bounded memory: the metadata and the table of tensors
// first, then the tensors' data in the order of the table.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "lib/base/status.h"
#include "lib/base/tensor.h"
#include "lib/io/gguf.h"
#include "lib/io/output_file.h"

namespace ponder::core {

// Key-value pairs in the order they are added. What is wrong (a key twice, text that is no UTF-8) is kept and said by
// status(): a converter adds dozens of them.
class GgufMetadata {
 public:
  // Integers of any type of the format; a value that the type cannot hold is wrong.
  void add_integer(std::string_view key, GgufType type, std::int64_t value);
  void add_u32(std::string_view key, std::int64_t value) { add_integer(key, GgufType::u32, value); }
  void add_f32(std::string_view key, float value);
  void add_f64(std::string_view key, double value);
  void add_bool(std::string_view key, bool value);
  void add_string(std::string_view key, std::string_view value);

  void add_integers(std::string_view key, GgufType type, std::span<const std::int64_t> values);
  void add_f32s(std::string_view key, std::span<const float> values);
  void add_f64s(std::string_view key, std::span<const double> values);
  void add_bools(std::string_view key, std::span<const bool> values);
  void add_strings(std::string_view key, std::span<const std::string> values);
  // As it lies in another file.
  void add_value(std::string_view key, const GgufValue& value);

  const Status& status() const { return status_; }
  std::uint64_t count() const { return keys_.size(); }
  const std::string& bytes() const { return bytes_; }  // as in a file

 private:
  bool begin(std::string_view key, GgufType type);
  bool begin_array(std::string_view key, GgufType type, std::size_t count);
  void put_integer(std::string_view key, GgufType type, std::int64_t value);
  void put_text(std::string_view key, std::string_view text);
  void wrong(Status status);

  std::string bytes_;
  std::unordered_set<std::string> keys_;
  Status status_;
};

struct GgufTensor {
  std::string name;
  DType type = DType::f32;
  Shape shape;  // row-major, the contiguous dimension last; in the file it stands first
  std::uint64_t n_bytes() const;
};

// What a file begins with: all but the tensors' data, padded. As GgufWriter::create wants them.
Result<std::string> gguf_header(const GgufMetadata& metadata, const std::vector<GgufTensor>& tensors);

class GgufWriter {
 public:
  // Writes all but the data. Names are unique, of 1 to 63 bytes (ggml's limit); shapes of 1 to 4 dimensions without
  // zeros, rows of whole blocks; the metadata without general.alignment, which is the default of 32.
  static Result<GgufWriter> create(std::unique_ptr<OutputFile> file, const GgufMetadata& metadata,
                                   std::vector<GgufTensor> tensors);

  // The next bytes of the data, in pieces of any size; a piece does not reach into the next tensor.
  Status append(std::span<const std::byte> bytes);
  // The tensor that the next byte belongs to, and how many it has already; tensors().size() when all are complete.
  std::size_t tensor() const { return tensor_; }
  std::uint64_t tensor_bytes() const { return done_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  std::uint64_t file_bytes() const { return file_bytes_; }  // of the whole file, known from the start

  // Once every tensor is complete: the file appears under its name. Without it nothing is left of the file.
  Status finish();

 private:
  GgufWriter() = default;
  Status write(std::span<const std::byte> bytes);

  std::unique_ptr<OutputFile> file_;
  std::vector<GgufTensor> tensors_;
  std::size_t tensor_ = 0;
  std::uint64_t done_ = 0, file_bytes_ = 0;
  Status failure_;  // the first write that failed: the file is not finished then
};

}  // namespace ponder::core
