#include <bit>
#include <cmath>
#include <limits>

#include "lib/base/format.h"
#include "lib/io/gguf.h"
#include "lib/io/gguf_bytes.h"

namespace ponder::core {
namespace {

// Element i of fixed-size elements.
std::optional<std::int64_t> integer_at(GgufType type, std::span<const std::byte> bytes, std::size_t i) {
  const std::size_t size = gguf_fixed_bytes(type);
  const std::uint64_t bits = gguf_read(bytes.subspan(i * size), size);
  switch (type) {
    case GgufType::u8: case GgufType::u16: case GgufType::u32: return static_cast<std::int64_t>(bits);
    case GgufType::i8: return static_cast<std::int8_t>(bits);
    case GgufType::i16: return static_cast<std::int16_t>(bits);
    case GgufType::i32: return static_cast<std::int32_t>(bits);
    case GgufType::i64: return static_cast<std::int64_t>(bits);
    case GgufType::u64:
      if (bits > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
      return static_cast<std::int64_t>(bits);
    default: return std::nullopt;
  }
}

std::optional<double> number_at(GgufType type, std::span<const std::byte> bytes, std::size_t i) {
  const std::size_t size = gguf_fixed_bytes(type);
  if (type == GgufType::f32)
    return double{std::bit_cast<float>(static_cast<std::uint32_t>(gguf_read(bytes.subspan(i * size), size)))};
  if (type == GgufType::f64) return std::bit_cast<double>(gguf_read(bytes.subspan(i * size), size));
  if (type == GgufType::u64) return static_cast<double>(gguf_read(bytes.subspan(i * size), size));
  const std::optional<std::int64_t> whole = integer_at(type, bytes, i);
  return whole ? std::optional<double>(static_cast<double>(*whole)) : std::nullopt;
}

bool is_integer(GgufType type) {
  return type <= GgufType::i32 || type == GgufType::u64 || type == GgufType::i64;
}
bool is_number(GgufType type) { return is_integer(type) || type == GgufType::f32 || type == GgufType::f64; }

}  // namespace

std::string_view gguf_type_name(GgufType type) {
  switch (type) {
    case GgufType::u8: return "u8";
    case GgufType::i8: return "i8";
    case GgufType::u16: return "u16";
    case GgufType::i16: return "i16";
    case GgufType::u32: return "u32";
    case GgufType::i32: return "i32";
    case GgufType::f32: return "f32";
    case GgufType::boolean: return "bool";
    case GgufType::string: return "string";
    case GgufType::array: return "array";
    case GgufType::u64: return "u64";
    case GgufType::i64: return "i64";
    case GgufType::f64: return "f64";
  }
  return "?";
}

std::string GgufValue::describe() const {
  if (is_array_) return formatted("an array of {} {}", count_, gguf_type_name(type_));
  if (const auto text = string()) {
    std::size_t shown = text->size() > 60 ? 60 : text->size();
    while (shown < text->size() && shown > 0 && (static_cast<unsigned char>((*text)[shown]) & 0xc0) == 0x80) --shown;
    return formatted("'{}'{}", text->substr(0, shown), shown < text->size() ? "..." : "");
  }
  if (const auto flag = boolean()) return *flag ? "true" : "false";
  if (const auto whole = integer()) return formatted("{} {}", gguf_type_name(type_), *whole);
  return formatted("{} {}", gguf_type_name(type_), number().value_or(0));
}

std::optional<std::int64_t> GgufValue::integer() const {
  if (is_array_ || !is_integer(type_)) return std::nullopt;
  return integer_at(type_, bytes_, 0);
}

std::optional<double> GgufValue::number() const {
  if (is_array_ || !is_number(type_)) return std::nullopt;
  return number_at(type_, bytes_, 0);
}

std::optional<bool> GgufValue::boolean() const {
  if (is_array_ || type_ != GgufType::boolean) return std::nullopt;
  return bytes_[0] != std::byte{0};
}

std::optional<std::string_view> GgufValue::string() const {
  if (is_array_ || type_ != GgufType::string) return std::nullopt;
  return gguf_text(bytes_.subspan(kGgufLengthBytes));
}

std::optional<std::vector<std::int64_t>> GgufValue::integers() const {
  if (!is_array_ || !is_integer(type_)) return std::nullopt;
  std::vector<std::int64_t> values(static_cast<std::size_t>(count_));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::optional<std::int64_t> value = integer_at(type_, bytes_, i);
    if (!value) return std::nullopt;
    values[i] = *value;
  }
  return values;
}

std::optional<std::vector<double>> GgufValue::numbers() const {
  if (!is_array_ || !is_number(type_)) return std::nullopt;
  std::vector<double> values(static_cast<std::size_t>(count_));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = number_at(type_, bytes_, i).value_or(0);
  return values;
}

std::optional<std::vector<std::string_view>> GgufValue::strings() const {
  if (!is_array_ || type_ != GgufType::string) return std::nullopt;
  std::vector<std::string_view> values;
  values.reserve(static_cast<std::size_t>(count_));
  for (std::span<const std::byte> rest = bytes_; !rest.empty();) {  // lengths were checked when the file was parsed
    const auto size = static_cast<std::size_t>(gguf_read(rest, kGgufLengthBytes));
    values.push_back(gguf_text(rest.subspan(kGgufLengthBytes, size)));
    rest = rest.subspan(kGgufLengthBytes + size);
  }
  return values;
}

}  // namespace ponder::core
