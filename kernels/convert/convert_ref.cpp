#include "kernels/convert/convert.h"

#include <cstdint>
#include <cstring>

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

// a * b + c, rounded once. Not std::fma: that of mingw-w64 10 is wrong in a quarter of all cases. The product is exact in f64;
// the sum is rounded to odd there, so that the second rounding is that of the exact value (Boldo and Melquiond, 2008).
float fused(float a, float b, float c) {
  const double product = static_cast<double>(a) * b;
  double sum = product + c;
  const double of_c = sum - product, error = (product - (sum - of_c)) + (c - of_c);
  std::uint64_t bits;
  std::memcpy(&bits, &sum, 8);
  if ((error < 0 || error > 0) && bits % 2 == 0) bits += (error > 0) == (sum > 0) ? 1 : ~std::uint64_t{0};
  std::memcpy(&sum, &bits, 8);
  return static_cast<float>(sum);
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
  for (std::size_t i = 0; i < n; ++i) y[i] = fused(a, x[i], y[i]);
}

}  // namespace ponder::kernels
