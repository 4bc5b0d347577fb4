// What gguf.cpp and gguf_value.cpp share: little-endian integers and sizes of the format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/io/gguf.h"

namespace ponder::core {

constexpr std::size_t kGgufLengthBytes = 8;  // the u64 in front of every string

// `size` bytes, 1 .. 8, as an unsigned integer.
inline std::uint64_t gguf_read(std::span<const std::byte> bytes, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  return value;
}

inline std::string_view gguf_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Bytes of one value; 0 for strings and arrays, which differ.
constexpr std::size_t gguf_fixed_bytes(GgufType type) {
  switch (type) {
    case GgufType::u8: case GgufType::i8: case GgufType::boolean: return 1;
    case GgufType::u16: case GgufType::i16: return 2;
    case GgufType::u32: case GgufType::i32: case GgufType::f32: return 4;
    case GgufType::u64: case GgufType::i64: case GgufType::f64: return 8;
    case GgufType::string: case GgufType::array: return 0;
  }
  return 0;
}

}  // namespace ponder::core
