// Element types of tensors as they lie on disk and in memory, and their scalar conversions (the reference that the
// kernels are tested against). bf16, f16 and fp8 are stored as plain integers: g++ 12 has no arithmetic types for them.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ponder::core {

enum class DType : std::uint8_t {
  f32, f16, bf16, f8_e4m3, f64, i8, u8, i16, i32, i64, boolean,
  // GGUF block types: whole blocks in a row, see kernels/<type>/<type>.h for their bits.
  q4_0, q4_1, q5_0, q5_1, q8_0, q2_k, q3_k, q4_k, q5_k, q6_k,
  iq4_nl, iq4_xs, iq3_xxs, iq3_s, iq2_xxs, iq2_xs, iq2_s, iq1_s, iq1_m,
};
constexpr std::size_t kDTypeCount = static_cast<std::size_t>(DType::iq1_m) + 1;

// Elements that share scales and are stored together: 1, or those of a GGUF block type. A row holds whole blocks.
constexpr std::size_t block_elements(DType type) {
  if (type < DType::q4_0) return 1;
  return type <= DType::q8_0 || type == DType::iq4_nl ? 32 : 256;
}

// Sizes of ggml's structs (ggml-common.h), which have no padding.
constexpr std::size_t block_bytes(DType type) {
  switch (type) {
    case DType::f32: case DType::i32: return 4;
    case DType::f16: case DType::bf16: case DType::i16: return 2;
    case DType::f64: case DType::i64: return 8;
    case DType::f8_e4m3: case DType::i8: case DType::u8: case DType::boolean: return 1;
    case DType::q4_0: case DType::iq4_nl: return 18;
    case DType::q4_1: return 20;
    case DType::q5_0: return 22;
    case DType::q5_1: return 24;
    case DType::q8_0: return 34;
    case DType::q2_k: return 84;
    case DType::q3_k: case DType::iq3_s: return 110;
    case DType::q4_k: return 144;
    case DType::q5_k: return 176;
    case DType::q6_k: return 210;
    case DType::iq4_xs: return 136;
    case DType::iq3_xxs: return 98;
    case DType::iq2_xxs: return 66;
    case DType::iq2_xs: return 74;
    case DType::iq2_s: return 82;
    case DType::iq1_s: return 50;
    case DType::iq1_m: return 56;
  }
  return 0;
}

// Bytes of one element; 0 for a block type, which has none of its own: row_bytes() is what callers use.
constexpr std::size_t element_bytes(DType type) { return block_elements(type) == 1 ? block_bytes(type) : 0; }

constexpr std::size_t row_bytes(DType type, std::size_t n_elements) {  // n_elements a multiple of block_elements
  return n_elements / block_elements(type) * block_bytes(type);
}

// As safetensors and ggml spell them: "F32", "BF16", "F8_E4M3", "Q4_K", ...
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
    case DType::q4_0: return "Q4_0";
    case DType::q4_1: return "Q4_1";
    case DType::q5_0: return "Q5_0";
    case DType::q5_1: return "Q5_1";
    case DType::q8_0: return "Q8_0";
    case DType::q2_k: return "Q2_K";
    case DType::q3_k: return "Q3_K";
    case DType::q4_k: return "Q4_K";
    case DType::q5_k: return "Q5_K";
    case DType::q6_k: return "Q6_K";
    case DType::iq4_nl: return "IQ4_NL";
    case DType::iq4_xs: return "IQ4_XS";
    case DType::iq3_xxs: return "IQ3_XXS";
    case DType::iq3_s: return "IQ3_S";
    case DType::iq2_xxs: return "IQ2_XXS";
    case DType::iq2_xs: return "IQ2_XS";
    case DType::iq2_s: return "IQ2_S";
    case DType::iq1_s: return "IQ1_S";
    case DType::iq1_m: return "IQ1_M";
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
