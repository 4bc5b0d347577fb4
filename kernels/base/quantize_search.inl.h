// The search of the quantisers: codes, scales and minima that make sum_i w[i] (x[i] - decoded[i])^2 small. Least squares
// gives the best scale for given codes and rounding the best codes for a given scale; from many starts, the two take turns.
// The measure of every choice is the error of what will be decoded, scales rounded as the file holds them.
#pragma once

#include "kernels/base/block_scalar.inl.h"
#include "kernels/base/quantize_lanes.inl.h"

namespace ponder::kernels {
namespace {

constexpr float kHalfMax = 65504;  // the largest f16

[[maybe_unused]] inline float absolute(float v) { return v < 0 ? -v : v; }
[[maybe_unused]] inline float greater(float a, float b) { return a > b ? a : b; }
// Within -1000 .. 1000, which is beyond every scale; NaN is -1000.
[[maybe_unused]] inline int nearest_integer(float v) {
  const float bounded = v > -1000 ? (v < 1000 ? v : 1000) : -1000;
  return static_cast<int>(bounded + 0x1.8p23f - 0x1.8p23f);
}
[[maybe_unused]] inline int limited(int v, int low, int high) { return v < low ? low : v > high ? high : v; }

// A scale as the file holds it.
[[maybe_unused]] inline float as_half(float v) {
  return scalar_f16(scalar_to_f16(v > kHalfMax ? kHalfMax : v < -kHalfMax ? -kHalfMax : v));
}
[[maybe_unused]] inline void put_u16(unsigned char* p, std::uint32_t bits) {
  p[0] = static_cast<unsigned char>(bits);
  p[1] = static_cast<unsigned char>(bits >> 8);
}
[[maybe_unused]] inline void put_half(unsigned char* p, float v) { put_u16(p, scalar_to_f16(v)); }

// n weights that share a scale, and their sums.
template <std::size_t n>
struct Group {
  static constexpr std::size_t kParts = n / kLanes;
  Lanes x[kParts], w[kParts];
  float low, high;             // of x
  float sum_w, sum_x, sum_xx;  // weighted

  Group() = default;
  Group(const float* values, const float* weights) {
    Lanes least = lanes_at(values), most = least, ws{}, xs{}, xxs{};
    for (std::size_t p = 0; p < kParts; ++p) {
      x[p] = lanes_at(values + p * kLanes);
      w[p] = lanes_at(weights + p * kLanes);
      least = x[p] < least ? x[p] : least;
      most = x[p] > most ? x[p] : most;
      const Lanes wx = w[p] * x[p];
      ws += w[p], xs += wx, xxs += wx * x[p];
    }
    low = least[0], high = most[0];
    for (std::size_t i = 1; i < kLanes; ++i) {
      low = least[i] < low ? least[i] : low;
      high = most[i] > high ? most[i] : high;
    }
    sum_w = sum_of(ws), sum_x = sum_of(xs), sum_xx = sum_of(xxs);
  }
  float extreme() const { return absolute(low) > absolute(high) ? low : high; }
};

// Codes that are integers low .. high, decoded as themselves.
template <int low, int high>
struct Integers {
  static constexpr float kLow = low, kHigh = high;
  static Lanes nearest(const Lanes& v) { return rounded(clamped(v, low, high)); }
  static unsigned char code(float value) { return static_cast<unsigned char>(static_cast<int>(value) - low); }
};

struct Fit {
  float scale, gain;  // gain: by how much the scale lowers the error of zeros
};

// W = scale q for the codes q nearest to x inverse.
template <class Codes, std::size_t n>
Fit fit_scale(const Group<n>& g, float inverse) {
  Lanes xq{}, qq{};
  for (std::size_t p = 0; p < g.kParts; ++p) {
    const Lanes q = Codes::nearest(g.x[p] * inverse), wq = g.w[p] * q;
    xq += wq * g.x[p], qq += wq * q;
  }
  const float sum_xq = sum_of(xq), sum_qq = sum_of(qq);
  if (!(sum_qq > 0)) return {0, 0};
  const float scale = sum_xq / sum_qq;
  return {scale, scale * sum_xq};
}

// Error of W = scale q with the best codes.
template <class Codes, std::size_t n>
float scale_error(const Group<n>& g, float scale) {
  const float inverse = scale != 0 ? 1 / scale : 0;
  Lanes error{};
  for (std::size_t p = 0; p < g.kParts; ++p) {
    const Lanes rest = g.x[p] - Codes::nearest(g.x[p] * inverse) * scale;
    error += g.w[p] * rest * rest;
  }
  return sum_of(error);
}

// The best scale, of either sign. The extreme weight is placed at or beyond each end of the codes.
template <class Codes, std::size_t n>
float best_scale(const Group<n>& g) {
  const float extreme = g.extreme();
  if (!(absolute(extreme) > 1e-20f)) return 0;
  constexpr int kStarts = 16;
  Fit best{0, 0};
  constexpr float kEnds[] = {Codes::kLow, Codes::kHigh};
  for (const float end : kEnds)
    for (int i = 0; i < kStarts; ++i) {
      const Fit fit = fit_scale<Codes>(g, end / extreme * (0.84f + 0.04f * static_cast<float>(i)));
      if (fit.gain > best.gain) best = fit;
    }
  for (int turn = 0; turn < 4 && best.scale != 0; ++turn) {
    const Fit fit = fit_scale<Codes>(g, 1 / best.scale);
    if (!(fit.gain > best.gain)) break;
    best = fit;
  }
  return best.scale;
}

// Of the f16 numbers around `scale` the one with the least error.
template <class Codes, std::size_t n>
float best_half_scale(const Group<n>& g, float scale, int around) {
  const std::uint32_t middle = scalar_to_f16(as_half(scale)), sign = middle & 0x8000u;
  const int magnitude = static_cast<int>(middle & 0x7fffu);
  float best = 0, least = g.sum_xx;
  for (int i = -around; i <= around; ++i) {
    const int bits = limited(magnitude + i, 0, 0x7bff);
    const float half = scalar_f16(static_cast<std::uint16_t>(sign | static_cast<std::uint32_t>(bits)));
    const float error = scale_error<Codes>(g, half);
    if (error < least) least = error, best = half;
  }
  return best;
}

struct Affine {
  float scale, minimum, error;
};

// Sums of the codes nearest to (x + minimum) inverse.
struct AffineSums {
  float q, xq, qq;
};
template <int top, std::size_t n>
AffineSums affine_sums(const Group<n>& g, float inverse, float minimum) {
  Lanes qs{}, xq{}, qq{};
  for (std::size_t p = 0; p < g.kParts; ++p) {
    const Lanes q = Integers<0, top>::nearest((g.x[p] + minimum) * inverse), wq = g.w[p] * q;
    qs += wq, xq += wq * g.x[p], qq += wq * q;
  }
  return {sum_of(qs), sum_of(xq), sum_of(qq)};
}

// W = scale q - minimum by least squares; `positive`: no minimum below 0.
template <int top, bool positive, std::size_t n>
Affine fit_affine(const Group<n>& g, float inverse, float minimum) {
  const AffineSums s = affine_sums<top>(g, inverse, minimum);
  const float det = g.sum_w * s.qq - s.q * s.q;
  Affine a{0, 0, g.sum_xx};
  if (det > 0) {
    a.scale = (g.sum_w * s.xq - g.sum_x * s.q) / det;
    a.minimum = (s.q * s.xq - s.qq * g.sum_x) / det;
  }
  if (!(det > 0) || (positive && a.minimum < 0)) {
    a.minimum = 0;
    a.scale = s.qq > 0 ? s.xq / s.qq : 0;
  }
  a.error = g.sum_xx + a.scale * (a.scale * s.qq - 2 * s.xq) +
            a.minimum * (a.minimum * g.sum_w + 2 * (g.sum_x - a.scale * s.q));
  return a;
}

template <int top, std::size_t n>
float affine_error(const Group<n>& g, float scale, float minimum) {
  const float inverse = scale > 0 ? 1 / scale : 0;
  Lanes error{};
  for (std::size_t p = 0; p < g.kParts; ++p) {
    const Lanes shifted = g.x[p] + minimum, rest = shifted - Integers<0, top>::nearest(shifted * inverse) * scale;
    error += g.w[p] * rest * rest;
  }
  return sum_of(error);
}

template <int top, bool positive, std::size_t n>
Affine best_affine(const Group<n>& g) {
  const float low = positive && g.low > 0 ? 0 : g.low, range = g.high - low;
  Affine best{0, positive && low > 0 ? 0 : -low, 0};
  best.error = affine_error<top>(g, 0, best.minimum);
  if (!(range > 1e-20f)) return best;
  // Ends inside the range cut off extremes, in steps of a part of the distance of two codes.
  constexpr int kEnds = top <= 3 ? 5 : 4;
  constexpr float kStep = top <= 3 ? 0.12f : top <= 15 ? 0.35f : 0.4f;
  for (int i = 0; i < kEnds; ++i)
    for (int j = 0; j < kEnds; ++j) {
      const float unit = range / top * kStep, from = low + unit * static_cast<float>(i) - (top > 3 ? unit : 0);
      const float to = g.high - unit * static_cast<float>(j) + (top > 3 ? unit : 0);
      if (!(to > from)) continue;
      const Affine fit = fit_affine<top, positive>(g, top / (to - from), -from);
      if (fit.error < best.error) best = fit;
    }
  for (int turn = 0; turn < 4 && best.scale > 0; ++turn) {
    const Affine fit = fit_affine<top, positive>(g, 1 / best.scale, best.minimum);
    if (!(fit.error < best.error)) break;
    best = fit;
  }
  return best;
}

// The block types of 32 weights: the codes of a whole block, and its scale (and minimum) as f16.
template <class Codes>
[[maybe_unused]] float half_scaled(const Group<32>& g, unsigned char* codes) {
  const float d = best_half_scale<Codes>(g, best_scale<Codes>(g), 1);
  const float inverse = d != 0 ? 1 / d : 0;
  for (std::size_t p = 0; p < g.kParts; ++p) {
    const Lanes q = Codes::nearest(g.x[p] * inverse);
    for (std::size_t l = 0; l < kLanes; ++l) *codes++ = Codes::code(q[l]);
  }
  return d;
}
template <int top>
[[maybe_unused]] Affine half_affine(const Group<32>& g, unsigned char* codes) {
  const Affine ideal = best_affine<top, false>(g);
  const Affine a{as_half(ideal.scale), as_half(ideal.minimum), 0};
  const float inverse = a.scale > 0 ? 1 / a.scale : 0;
  for (std::size_t p = 0; p < g.kParts; ++p) {
    const Lanes q = Integers<0, top>::nearest((g.x[p] + a.minimum) * inverse);
    for (std::size_t l = 0; l < kLanes; ++l) *codes++ = Integers<0, top>::code(q[l]);
  }
  return a;
}
// Code i in the low nibble of byte i, code i + 16 in the high one; their fifth bits as a u32.
[[maybe_unused]] inline void put_nibbles(unsigned char* p, const unsigned char* codes) {
  for (std::size_t i = 0; i < 16; ++i) p[i] = static_cast<unsigned char>((codes[i] & 0xf) | (codes[i + 16] & 0xf) << 4);
}
[[maybe_unused]] inline void put_fifth_bits(unsigned char* p, const unsigned char* codes) {
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < 32; ++i) bits |= std::uint32_t{codes[i]} >> 4 << i;
  put_u16(p, bits);
  put_u16(p + 2, bits >> 16);
}

}  // namespace
}  // namespace ponder::kernels
