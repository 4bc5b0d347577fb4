// rms_norm.h, rope.h, swiglu.h and convert.h in the vocabulary of avx2.inl.h / avx512.inl.h, which is included before.
#pragma once

#include "kernels/base/exp_simd.inl.h"

namespace ponder::kernels {
namespace {

inline void rms_norm_simd(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const float* weight,
                          std::size_t n_tokens, std::size_t hidden_size, float eps) {
  for (std::size_t t = 0; t < n_tokens; ++t) {
    const float* in = x + t * x_stride;
    float* out = y + t * y_stride;
    SquareSum squares;
    std::size_t i = 0;
    for (; i + kLanes <= hidden_size; i += kLanes) squares.add_squares(load(in + i));
    if (i < hidden_size) squares.add_squares(load_part(in + i, hidden_size - i));
    const double mean = squares.total() / static_cast<double>(hidden_size);
    const Vec factor = set1(static_cast<float>(1.0 / __builtin_sqrt(mean + static_cast<double>(eps))));
    for (i = 0; i + kLanes <= hidden_size; i += kLanes)
      store(out + i, mul(mul(load(in + i), factor), load(weight + i)));
    if (i < hidden_size) {
      const std::size_t rest = hidden_size - i;
      store_part(out + i, mul(mul(load_part(in + i, rest), factor), load_part(weight + i, rest)), rest);
    }
  }
}

inline void rotate_scalar(float& a, float& b, float cos, float sin) {
  const float a0 = a, b0 = b;
  a = __builtin_fmaf(a0, cos, -(b0 * sin));
  b = __builtin_fmaf(b0, cos, a0 * sin);
}

inline void rope_interleaved_simd(float* x, std::size_t head_stride, const float* cos, const float* sin,
                                  std::size_t n_heads, std::size_t n_dims) {
  for (std::size_t h = 0; h < n_heads; ++h) {
    float* head = x + h * head_stride;
    std::size_t i = 0;
    for (; i + kLanes <= n_dims; i += kLanes) store(head + i, rotate_pairs(load(head + i), cos + i / 2, sin + i / 2));
    for (; i < n_dims; i += 2) rotate_scalar(head[i], head[i + 1], cos[i / 2], sin[i / 2]);
  }
}

inline void rope_half_simd(float* x, std::size_t head_stride, const float* cos, const float* sin, std::size_t n_heads,
                           std::size_t n_dims) {
  const std::size_t half = n_dims / 2;
  for (std::size_t h = 0; h < n_heads; ++h) {
    float* first = x + h * head_stride;
    float* second = first + half;
    std::size_t i = 0;
    for (; i + kLanes <= half; i += kLanes) {
      const Vec a = load(first + i), b = load(second + i), c = load(cos + i), s = load(sin + i);
      store(first + i, fma(a, c, sub(zero(), mul(b, s))));
      store(second + i, fma(b, c, mul(a, s)));
    }
    for (; i < half; ++i) rotate_scalar(first[i], second[i], cos[i], sin[i]);
  }
}

// With z = exp(-|g|): silu = g / (1 + z) for g >= 0 and g z / (1 + z) below, so that nothing overflows. The last power of
// two comes last, where the result may be subnormal.
inline Vec swiglu_lanes(Vec gate, Vec up) {
  const ExpParts e = exp_parts(negative_abs(gate), zero());
  const Vec part = mul(e.mantissa, e.first), z = mul(part, e.second), one = set1(1.0f);
  const Vec quotient = div(gate, add(one, z));
  const Vec scaled = mul(quotient, where_negative(gate, part, one));
  return mul(mul(scaled, up), where_negative(gate, e.second, one));
}
inline void swiglu_simd(float* y, const float* gate, const float* up, std::size_t n) {
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, swiglu_lanes(load(gate + i), load(up + i)));
  if (i < n) store_part(y + i, swiglu_lanes(load_part(gate + i, n - i), load_part(up + i, n - i)), n - i);
}

template <class Stored>
inline Vec exact(Vec a) {
  if constexpr (Stored::kScaled) return plain_nan(mul(a, set1(256.0f)));  // see StoredFp8
  return a;
}
template <class Stored>
inline void to_f32_simd(float* y, const void* x, std::size_t n) {
  const auto* in = static_cast<const unsigned char*>(x);
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, exact<Stored>(Stored::load(in + i * Stored::kBytes)));
  if (i < n) store_part(y + i, exact<Stored>(Stored::load_part(in + i * Stored::kBytes, n - i)), n - i);
}
template <class To>
inline void from_f32_simd(void* y, const float* x, std::size_t n) {
  auto* out = static_cast<unsigned char*>(y);
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) To::store(out + 2 * i, load(x + i));
  if (i == n) return;
  unsigned char tail[2 * kLanes];
  To::store(tail, load_part(x + i, n - i));
  __builtin_memcpy(out + 2 * i, tail, 2 * (n - i));
}
inline void add_simd(float* y, const float* x, std::size_t n) {
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, add(load(y + i), load(x + i)));
  if (i < n) store_part(y + i, add(load_part(y + i, n - i), load_part(x + i, n - i)), n - i);
}
inline void scale_add_simd(float* y, const float* x, float a, std::size_t n) {
  const Vec factor = set1(a);
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, fma(factor, load(x + i), load(y + i)));
  if (i < n) store_part(y + i, fma(factor, load_part(x + i, n - i), load_part(y + i, n - i)), n - i);
}

}  // namespace
}  // namespace ponder::kernels
