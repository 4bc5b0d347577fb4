// Element types of tensors as they lie on disk and in memory, and their scalar conversions (the reference that the
// kernels are tested against). bf16, f16 and fp8 are stored as plain integers: g++ 12 has no arithmetic types for them.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ponder::core {

enum class DType : std::uint8_t { f32, f16, bf16, f8_e4m3, f64, i8, u8, i16, i32, i64, boolean };

// Bytes of one element. Block types (GGUF) will bring block_elements and block_bytes; row_bytes() is what callers use.
constexpr std::size_t element_bytes(DType type) {
  switch (type) {
    case DType::f32: case DType::i32: return 4;
    case DType::f16: case DType::bf16: case DType::i16: return 2;
    case DType::f64: case DType::i64: return 8;
    case DType::f8_e4m3: case DType::i8: case DType::u8: case DType::boolean: return 1;
  }
  return 0;
}

constexpr std::size_t row_bytes(DType type, std::size_t n_elements) { return element_bytes(type) * n_elements; }

// The safetensors spelling: "F32", "BF16", "F8_E4M3", ...
constexpr std::string_view dtype_name(DType type) {
  switch (type) {
    case DType::f32: return "F32";
    case DType::f16: return "F16";
    case DType::bf16: return "BF16";
    case DType::f8_e4m3: return "F8_E4M3";
    case DType::f64: return "F64";
    case DType::i8: return "I8";
    case DType::u8: return "U8";
    case DType::i16: return "I16";
    case DType::i32: return "I32";
    case DType::i64: return "I64";
    case DType::boolean: return "BOOL";
  }
  return "?";
}

inline float bf16_to_f32(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

// Round to nearest, ties to even; NaN stays a (quiet) NaN.
inline std::uint16_t f32_to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

inline float f16_to_f32(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000u) << 16;
  std::uint32_t exponent = (bits >> 10) & 0x1fu;
  std::uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent == 0) {
    if (mantissa == 0) return std::bit_cast<float>(sign);
    exponent = 113;  // 127 - 15 + 1; shift the leading one up to the implicit place
    while (!(mantissa & 0x400u)) mantissa <<= 1, --exponent;
    return std::bit_cast<float>(sign | (exponent << 23) | ((mantissa & 0x3ffu) << 13));
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

// Round to nearest, ties to even; overflow becomes infinity, as the F16C instruction does.
inline std::uint16_t f32_to_f16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
  if (magnitude >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);  // rounds to 65536 or more
  if (magnitude < 0x38800000u) {                                                     // subnormal f16
    if (magnitude < 0x33000000u) return sign;                                        // below half of 2^-24
    const std::uint32_t shift = 126 - (magnitude >> 23);
    const std::uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
    const std::uint32_t half = mantissa >> shift;
    const std::uint32_t rest = mantissa & ((1u << shift) - 1u);
    const std::uint32_t tie = 1u << (shift - 1);
    return static_cast<std::uint16_t>(sign | (half + (rest > tie || (rest == tie && (half & 1u)) ? 1u : 0u)));
  }
  const std::uint32_t rebased = magnitude - 0x38000000u;
  return static_cast<std::uint16_t>(sign | ((rebased + 0xfffu + ((rebased >> 13) & 1u)) >> 13));
}

// e4m3fn: bias 7, no infinity, 0x7f and 0xff are NaN, largest 448, smallest subnormal 2^-9.
inline float f8_e4m3_to_f32(std::uint8_t bits) {
  const std::uint32_t sign = std::uint32_t{bits & 0x80u} << 24;
  const std::uint32_t exponent = (bits >> 3) & 0xfu;
  const std::uint32_t mantissa = bits & 0x7u;
  if ((bits & 0x7fu) == 0x7fu) return std::bit_cast<float>(sign | 0x7fc00000u);
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-9f;
    return sign ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | ((exponent + 120) << 23) | (mantissa << 20));
}

// Round to nearest, ties to even, saturating at 448 (as DeepSeek's quantiser does); NaN stays NaN.
inline std::uint8_t f32_to_f8_e4m3(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint8_t>((bits >> 24) & 0x80u);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<std::uint8_t>(sign | 0x7fu);
  if (magnitude >= 0x43e00000u) return static_cast<std::uint8_t>(sign | 0x7eu);  // 448 and above
  if (magnitude < 0x3c800000u) {                                                  // below 2^-6: subnormal, step 2^-9
    const float steps = std::bit_cast<float>(magnitude) * 512.0f;
    auto whole = static_cast<std::uint32_t>(steps);
    const float rest = steps - static_cast<float>(whole);
    if (rest > 0.5f || (rest == 0.5f && (whole & 1u))) ++whole;
    return static_cast<std::uint8_t>(sign | whole);
  }
  const std::uint32_t rebased = magnitude - (120u << 23);
  const std::uint32_t rounded = (rebased + 0x7ffffu + ((rebased >> 20) & 1u)) >> 20;
  return static_cast<std::uint8_t>(sign | (rounded > 0x7eu ? 0x7eu : rounded));
}

}  // namespace ponder::core
