// Scalar conversions for the reference kernels: kernels do not see lib/base/dtype.h. Tests hold the two against each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ponder::kernels {
namespace {

[[maybe_unused]] inline float float_of_bits(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
[[maybe_unused]] inline std::uint32_t bits_of_float(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

[[maybe_unused]] inline float scalar_bf16(std::uint16_t bits) { return float_of_bits(std::uint32_t{bits} << 16); }

[[maybe_unused]] inline float scalar_f16(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1fu;
  const std::uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 0x1f) {  // infinity, or NaN made quiet as the F16C instruction does
    const std::uint32_t quiet = mantissa ? 0x400000u : 0u;
    return float_of_bits(sign | 0x7f800000u | quiet | (mantissa << 13));
  }
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  return float_of_bits(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

// Ties to even, overflow to infinity.
[[maybe_unused]] inline std::uint16_t scalar_to_f16(float value) {
  const std::uint32_t bits = bits_of_float(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
  if (magnitude >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);  // 65520 and above
  if (magnitude < 0x38800000u) {  // subnormal: steps of 2^-24, which adding 2^52 rounds to
    const double steps = double{float_of_bits(magnitude)} * 0x1p24 + 0x1p52 - 0x1p52;
    return static_cast<std::uint16_t>(sign | static_cast<std::uint32_t>(steps));
  }
  const std::uint32_t rebased = magnitude - 0x38000000u;
  return static_cast<std::uint16_t>(sign | ((rebased + 0xfffu + ((rebased >> 13) & 1u)) >> 13));
}

// e4m3fn without its block scale; 0x7f and 0xff are NaN.
[[maybe_unused]] inline float scalar_fp8(std::uint8_t bits) {
  const std::uint32_t sign = (bits & 0x80u) << 24;
  const std::uint32_t exponent = (bits >> 3) & 0xfu;
  const std::uint32_t mantissa = bits & 0x7u;
  if ((bits & 0x7fu) == 0x7fu) return float_of_bits(sign | 0x7fc00000u);
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-9f;
    return sign ? -magnitude : magnitude;
  }
  return float_of_bits(sign | ((exponent + 120) << 23) | (mantissa << 20));
}

// How a reference kernel reads element k of a weight row of each storage type.
struct ReadF32 {
  static float at(const unsigned char* row, std::size_t k) {
    float value;
    std::memcpy(&value, row + 4 * k, 4);
    return value;
  }
};
struct ReadF16 {
  static float at(const unsigned char* row, std::size_t k) {
    std::uint16_t bits;
    std::memcpy(&bits, row + 2 * k, 2);
    return scalar_f16(bits);
  }
};
struct ReadBf16 {
  static float at(const unsigned char* row, std::size_t k) {
    std::uint16_t bits;
    std::memcpy(&bits, row + 2 * k, 2);
    return scalar_bf16(bits);
  }
};
struct ReadFp8 {
  static float at(const unsigned char* row, std::size_t k) { return scalar_fp8(row[k]); }
};

}  // namespace
}  // namespace ponder::kernels
