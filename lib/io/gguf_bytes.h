// What the reader and the writer of GGUF share: little-endian integers, numbers and sizes of the format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "lib/io/gguf.h"

namespace ponder::core {

constexpr std::string_view kGgufMagic = "GGUF";
constexpr std::uint64_t kGgufAlignment = 32;        // of data, when general.alignment says nothing
constexpr std::uint64_t kGgufMaxKeyBytes = 65535;   // by the format
constexpr std::uint64_t kGgufMaxNameBytes = 64;     // of tensors; ggml's own limit is 63
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

// ggml.h's enum ggml_type, and back; nothing for types of ours that GGUF lacks, or theirs that we lack.
std::optional<std::uint32_t> gguf_number_of(DType type);
std::optional<DType> gguf_type_of(std::uint64_t number);

bool is_utf8(std::string_view text);  // RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF

}  // namespace ponder::core
