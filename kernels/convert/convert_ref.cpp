#include "kernels/convert/convert.h"

#include <cmath>

#include "kernels/base/convert_scalar.inl.h"

namespace ponder::kernels {

namespace {

template <class Read>
void to_f32(float* y, const void* x, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) y[i] = Read::at(static_cast<const unsigned char*>(x), i);
}

std::uint16_t to_bf16(float value) {
  const std::uint32_t bits = bits_of_float(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

template <class Convert>
void from_f32(void* y, const float* x, std::size_t n, Convert convert) {
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint16_t bits = convert(x[i]);
    std::memcpy(static_cast<unsigned char*>(y) + 2 * i, &bits, 2);
  }
}

}  // namespace

void bf16_to_f32_ref(float* y, const void* x, std::size_t n) { to_f32<ReadBf16>(y, x, n); }
void f16_to_f32_ref(float* y, const void* x, std::size_t n) { to_f32<ReadF16>(y, x, n); }
void fp8_to_f32_ref(float* y, const void* x, std::size_t n) { to_f32<ReadFp8>(y, x, n); }
void f32_to_bf16_ref(void* y, const float* x, std::size_t n) { from_f32(y, x, n, to_bf16); }
void f32_to_f16_ref(void* y, const float* x, std::size_t n) { from_f32(y, x, n, scalar_to_f16); }

void add_ref(float* y, const float* x, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) y[i] += x[i];
}
void scale_add_ref(float* y, const float* x, float a, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) y[i] = std::fma(a, x[i], y[i]);
}

}  // namespace ponder::kernels
