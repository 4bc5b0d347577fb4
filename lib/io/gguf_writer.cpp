#include "lib/io/gguf_writer.h"

#include <array>
#include <bit>
#include <limits>

#include "lib/base/format.h"
#include "lib/io/gguf_bytes.h"

namespace ponder::core {
namespace {

constexpr std::uint64_t kMaxNameBytes = kGgufMaxNameBytes - 1;  // ggml keeps a zero behind them

void put(std::string& bytes, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
}
void put_type(std::string& bytes, GgufType type) { put(bytes, static_cast<std::uint32_t>(type), 4); }
void put_string(std::string& bytes, std::string_view text) {
  put(bytes, text.size(), kGgufLengthBytes);
  bytes += text;
}

struct Range {
  std::int64_t low, high;
};
template <class T>
constexpr Range range_of() {
  return {std::numeric_limits<T>::min(), std::numeric_limits<T>::max()};
}
// An empty one for types that are no integers. u64 above int64 cannot be given.
constexpr Range range(GgufType type) {
  switch (type) {
    case GgufType::u8: return range_of<std::uint8_t>();
    case GgufType::i8: return range_of<std::int8_t>();
    case GgufType::u16: return range_of<std::uint16_t>();
    case GgufType::i16: return range_of<std::int16_t>();
    case GgufType::u32: return range_of<std::uint32_t>();
    case GgufType::i32: return range_of<std::int32_t>();
    case GgufType::u64: return {0, std::numeric_limits<std::int64_t>::max()};
    case GgufType::i64: return range_of<std::int64_t>();
    default: return {0, -1};
  }
}

std::uint64_t padding(std::uint64_t size) { return (kGgufAlignment - size % kGgufAlignment) % kGgufAlignment; }

Status check(const GgufTensor& tensor) {
  if (tensor.name.empty() || tensor.name.size() > kMaxNameBytes || !is_utf8(tensor.name))
    return fail(Code::invalid_argument, "'{}': a tensor's name has 1 to {} bytes of UTF-8", tensor.name, kMaxNameBytes);
  if (!gguf_number_of(tensor.type))
    return fail(Code::unsupported, "{}: GGUF has no {}", tensor.name, dtype_name(tensor.type));
  std::int64_t n_elements = 1;
  const std::size_t n_dims = tensor.shape.n_dims();
  for (std::size_t i = 0; i < n_dims; ++i) {
    if (tensor.shape[i] < 1 || n_elements > (std::int64_t{1} << 56) / tensor.shape[i])
      return fail(Code::invalid_argument, "{}: shape {} cannot be written", tensor.name, tensor.shape.to_string());
    n_elements *= tensor.shape[i];
  }
  const auto block = static_cast<std::int64_t>(block_elements(tensor.type));
  if (n_dims == 0 || tensor.shape[n_dims - 1] % block != 0)
    return fail(Code::invalid_argument, "{}: shape {}, {} wants rows of a multiple of {}", tensor.name,
                tensor.shape.to_string(), dtype_name(tensor.type), block);
  return {};
}

}  // namespace

void GgufMetadata::wrong(Status status) {
  if (status_.ok()) status_ = std::move(status);
}
bool GgufMetadata::begin(std::string_view key, GgufType type) {
  if (key.empty() || key.size() > kGgufMaxKeyBytes || !is_utf8(key))
    wrong(fail(Code::invalid_argument, "a metadata key of {} bytes, wanted 1 to {} of UTF-8", key.size(), kGgufMaxKeyBytes));
  else if (key == "general.alignment")
    wrong(fail(Code::invalid_argument, "{} is not to be given", key));
  else if (!keys_.emplace(key).second)
    wrong(fail(Code::invalid_argument, "metadata {} is given twice", key));
  if (!status_.ok()) return false;
  put_string(bytes_, key);
  put_type(bytes_, type);
  return true;
}
bool GgufMetadata::begin_array(std::string_view key, GgufType type, std::size_t count) {
  if (!begin(key, GgufType::array)) return false;
  put_type(bytes_, type);
  put(bytes_, count, 8);
  return true;
}
void GgufMetadata::put_integer(std::string_view key, GgufType type, std::int64_t value) {
  const Range holds = range(type);
  if (value < holds.low || value > holds.high)
    wrong(fail(Code::invalid_argument, "metadata {}: {} is no {}", key, value, gguf_type_name(type)));
  put(bytes_, static_cast<std::uint64_t>(value), gguf_fixed_bytes(type));
}
void GgufMetadata::put_text(std::string_view key, std::string_view text) {
  if (!is_utf8(text)) wrong(fail(Code::invalid_argument, "metadata {}: text that is not valid UTF-8", key));
  put_string(bytes_, text);
}

void GgufMetadata::add_integer(std::string_view key, GgufType type, std::int64_t value) {
  if (begin(key, type)) put_integer(key, type, value);
}
void GgufMetadata::add_f32(std::string_view key, float value) {
  if (begin(key, GgufType::f32)) put(bytes_, std::bit_cast<std::uint32_t>(value), 4);
}
void GgufMetadata::add_f64(std::string_view key, double value) {
  if (begin(key, GgufType::f64)) put(bytes_, std::bit_cast<std::uint64_t>(value), 8);
}
void GgufMetadata::add_bool(std::string_view key, bool value) {
  if (begin(key, GgufType::boolean)) put(bytes_, value, 1);
}
void GgufMetadata::add_string(std::string_view key, std::string_view value) {
  if (begin(key, GgufType::string)) put_text(key, value);
}
void GgufMetadata::add_integers(std::string_view key, GgufType type, std::span<const std::int64_t> values) {
  if (!begin_array(key, type, values.size())) return;
  for (const std::int64_t value : values) put_integer(key, type, value);
}
void GgufMetadata::add_f32s(std::string_view key, std::span<const float> values) {
  if (!begin_array(key, GgufType::f32, values.size())) return;
  for (const float value : values) put(bytes_, std::bit_cast<std::uint32_t>(value), 4);
}
void GgufMetadata::add_f64s(std::string_view key, std::span<const double> values) {
  if (!begin_array(key, GgufType::f64, values.size())) return;
  for (const double value : values) put(bytes_, std::bit_cast<std::uint64_t>(value), 8);
}
void GgufMetadata::add_bools(std::string_view key, std::span<const bool> values) {
  if (!begin_array(key, GgufType::boolean, values.size())) return;
  for (const bool value : values) put(bytes_, value, 1);
}
void GgufMetadata::add_strings(std::string_view key, std::span<const std::string> values) {
  if (!begin_array(key, GgufType::string, values.size())) return;
  for (const std::string& value : values) put_text(key, value);
}
void GgufMetadata::add_value(std::string_view key, const GgufValue& value) {
  const bool begun = value.is_array() ? begin_array(key, value.type(), static_cast<std::size_t>(value.count()))
                                      : begin(key, value.type());
  if (begun) bytes_ += gguf_text(value.bytes());
}

std::uint64_t GgufTensor::n_bytes() const {
  return row_bytes(type, static_cast<std::size_t>(shape.n_elements()));
}

Result<std::string> gguf_header(const GgufMetadata& metadata, const std::vector<GgufTensor>& tensors) {
  PONDER_TRY(Status(metadata.status()));
  std::string header(kGgufMagic);
  put(header, 3, 4);
  put(header, tensors.size(), 8);
  put(header, metadata.count(), 8);
  header += metadata.bytes();
  std::unordered_set<std::string_view> names;
  std::uint64_t offset = 0;
  for (const GgufTensor& tensor : tensors) {
    PONDER_TRY(check(tensor));
    if (!names.insert(tensor.name).second)
      return fail(Code::invalid_argument, "{}: a second tensor of that name", tensor.name);
    put_string(header, tensor.name);
    put(header, tensor.shape.n_dims(), 4);
    for (std::size_t i = tensor.shape.n_dims(); i > 0; --i)
      put(header, static_cast<std::uint64_t>(tensor.shape[i - 1]), 8);
    put(header, *gguf_number_of(tensor.type), 4);
    put(header, offset, 8);
    const std::uint64_t size = tensor.n_bytes();
    offset += size + padding(size);
  }
  header.append(padding(header.size()), '\0');
  return header;
}

Result<GgufWriter> GgufWriter::create(std::unique_ptr<OutputFile> file, const GgufMetadata& metadata,
                                      std::vector<GgufTensor> tensors) {
  PONDER_ASSIGN(const std::string header, gguf_header(metadata, tensors));
  GgufWriter writer;
  writer.file_ = std::move(file);
  writer.tensors_ = std::move(tensors);
  writer.file_bytes_ = header.size();
  for (const GgufTensor& tensor : writer.tensors_) writer.file_bytes_ += tensor.n_bytes() + padding(tensor.n_bytes());
  PONDER_TRY(writer.write(std::as_bytes(std::span(header))));
  return writer;
}

Status GgufWriter::write(std::span<const std::byte> bytes) {
  if (failure_.ok()) failure_ = file_->write(bytes);
  return failure_;
}

Status GgufWriter::append(std::span<const std::byte> bytes) {
  if (bytes.empty()) return {};
  if (tensor_ == tensors_.size()) return fail(Code::state, "{} bytes behind the last tensor", bytes.size());
  const GgufTensor& tensor = tensors_[tensor_];
  const std::uint64_t size = tensor.n_bytes();
  if (bytes.size() > size - done_)
    return fail(Code::state, "{}: {} bytes more, it wants {}", tensor.name, bytes.size(), size - done_);
  PONDER_TRY(write(bytes));
  done_ += bytes.size();
  if (done_ < size) return {};
  constexpr std::array<std::byte, kGgufAlignment> zeros{};
  ++tensor_;
  done_ = 0;
  return write(std::span(zeros).first(static_cast<std::size_t>(padding(size))));
}

Status GgufWriter::finish() {
  PONDER_TRY(Status(failure_));
  if (tensor_ != tensors_.size())
    return fail(Code::state, "{}: {} of {} bytes were given", tensors_[tensor_].name, done_, tensors_[tensor_].n_bytes());
  return file_->commit();
}

}  // namespace ponder::core
