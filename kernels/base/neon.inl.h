// Four f32 lanes: the vocabulary that the *_simd.inl.h files are written in, for NEON on arm64 (part of every such CPU).
// `count` of the _part functions is 1 .. kLanes - 1; nothing beyond it is touched, and loads fill up with zeros.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

namespace ponder::kernels {
namespace {

using Vec = float32x4_t;
constexpr std::size_t kLanes = 4;
// Accumulators of one matmul tile: 4 x 4, with four weight rows and an activation 21 of 32 registers.
constexpr int kTileTokens = 4;
constexpr int kTileRows = 4;

inline Vec zero() { return vdupq_n_f32(0.0f); }
inline Vec set1(float a) { return vdupq_n_f32(a); }
inline Vec add(Vec a, Vec b) { return vaddq_f32(a, b); }
inline Vec sub(Vec a, Vec b) { return vsubq_f32(a, b); }
inline Vec mul(Vec a, Vec b) { return vmulq_f32(a, b); }
inline Vec div(Vec a, Vec b) { return vdivq_f32(a, b); }
inline Vec fma(Vec a, Vec b, Vec c) { return vfmaq_f32(c, a, b); }
inline Vec max_or_second(Vec a, Vec b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }  // b where either is NaN
inline Vec min_or_second(Vec a, Vec b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
inline Vec negative_abs(Vec a) { return vnegq_f32(vabsq_f32(a)); }
inline Vec nan_to_zero(Vec a) { return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a), vceqq_f32(a, a))); }
inline Vec where_negative(Vec test, Vec yes, Vec no) {  // by sign bit
  return vbslq_f32(vreinterpretq_u32_s32(vshrq_n_s32(vreinterpretq_s32_f32(test), 31)), yes, no);
}
inline Vec round_even(Vec a) { return vrndnq_f32(a); }

// a * 2^n in two factors, as 2^n alone may leave the normal range: n integral, -250 .. 250.
inline void powers_of_two(Vec n, Vec& first, Vec& second) {
  const int32x4_t whole = vcvtq_s32_f32(n), half = vshrq_n_s32(whole, 1), bias = vdupq_n_s32(127);
  first = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(half, bias), 23));
  second = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vsubq_s32(whole, half), bias), 23));
}

inline Vec load(const float* p) { return vld1q_f32(p); }
inline Vec load_part(const float* p, std::size_t count) {
  float lanes[4] = {};
  __builtin_memcpy(lanes, p, 4 * count);
  return vld1q_f32(lanes);
}
inline void store(float* p, Vec a) { vst1q_f32(p, a); }
inline void store_part(float* p, Vec a, std::size_t count) {
  float lanes[4];
  vst1q_f32(lanes, a);
  __builtin_memcpy(p, lanes, 4 * count);
}
inline Vec fill_part(Vec a, std::size_t count, float rest) {
  const std::uint32_t lane[4] = {0, 1, 2, 3};
  return vbslq_f32(vcltq_u32(vld1q_u32(lane), vdupq_n_u32(static_cast<std::uint32_t>(count))), a, set1(rest));
}

inline float sum_lanes(Vec a) { return vaddvq_f32(a); }
inline float max_lanes(Vec a) {
  const Vec halves = max_or_second(a, vextq_f32(a, a, 2));
  return vgetq_lane_f32(max_or_second(halves, vrev64q_f32(halves)), 0);
}
inline float first_lane(Vec a) { return vgetq_lane_f32(a, 0); }
// lane i of the result = sum of the lanes of v[i]
inline Vec sum_each(const Vec (&v)[kLanes]) { return vpaddq_f32(vpaddq_f32(v[0], v[1]), vpaddq_f32(v[2], v[3])); }

// Sums of squares in f64.
struct SquareSum {
  float64x2_t low = vdupq_n_f64(0), high = vdupq_n_f64(0);
  void add_squares(Vec a) {
    const float64x2_t first = vcvt_f64_f32(vget_low_f32(a)), second = vcvt_high_f64_f32(a);
    low = vfmaq_f64(low, first, first);
    high = vfmaq_f64(high, second, second);
  }
  double total() const { return vaddvq_f64(vaddq_f64(low, high)); }
};

// Pairs (a, b) in neighbouring lanes: (a cos - b sin, b cos + a sin); cos, sin hold kLanes / 2 values.
inline Vec rotate_pairs(Vec pairs, const float* cos, const float* sin) {
  const float32x2_t c = vld1_f32(cos), s = vld1_f32(sin);
  const std::uint32_t sign[4] = {0x80000000u, 0, 0x80000000u, 0};
  const Vec crossed = mul(vrev64q_f32(pairs), vcombine_f32(vdup_lane_f32(s, 0), vdup_lane_f32(s, 1)));
  return fma(pairs, vcombine_f32(vdup_lane_f32(c, 0), vdup_lane_f32(c, 1)),
             vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(crossed), vld1q_u32(sign))));
}

// Storage types. load() reads kLanes elements; fp8 lacks a factor 2^8, which callers put into the scale.
struct StoredF32 {
  static constexpr std::size_t kBytes = 4;
  static constexpr bool kScaled = false;
  static Vec load_part(const unsigned char* p, std::size_t count) {
    float lanes[4] = {};
    __builtin_memcpy(lanes, p, 4 * count);
    return vld1q_f32(lanes);
  }
  static Vec load(const unsigned char* p) { return vreinterpretq_f32_u8(vld1q_u8(p)); }
};
inline uint16x4_t u16_part(const unsigned char* p, std::size_t count) {
  std::uint16_t lanes[4] = {};
  __builtin_memcpy(lanes, p, 2 * count);
  return vld1_u16(lanes);
}
struct StoredBf16 {
  static constexpr std::size_t kBytes = 2;
  static constexpr bool kScaled = false;
  static Vec expand(uint16x4_t bits) { return vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(bits), 16)); }
  static Vec load(const unsigned char* p) { return expand(vreinterpret_u16_u8(vld1_u8(p))); }
  static Vec load_part(const unsigned char* p, std::size_t count) { return expand(u16_part(p, count)); }
};
struct StoredF16 {
  static constexpr std::size_t kBytes = 2;
  static constexpr bool kScaled = false;
  static Vec expand(uint16x4_t bits) { return vcvt_f32_f16(vreinterpret_f16_u16(bits)); }
  static Vec load(const unsigned char* p) { return expand(vreinterpret_u16_u8(vld1_u8(p))); }
  static Vec load_part(const unsigned char* p, std::size_t count) { return expand(u16_part(p, count)); }
};
struct StoredFp8 {
  static constexpr std::size_t kBytes = 1;
  static constexpr bool kScaled = true;
  // As f16 bits, sign | (code & 0x7f) << 7, which is 2^-8 of the value. Only the NaN code carries into bit 14 when 0x80 is
  // added; with that bit the exponent is all ones.
  static Vec load_part(const unsigned char* p, std::size_t count) {
    std::uint32_t four = 0;
    __builtin_memcpy(&four, p, count);
    const uint16x4_t codes = vget_low_u16(vmovl_u8(vcreate_u8(four)));
    const uint16x4_t sign = vshl_n_u16(vand_u16(codes, vdup_n_u16(0x80)), 8);
    const uint16x4_t half = vorr_u16(sign, vshl_n_u16(vand_u16(codes, vdup_n_u16(0x7f)), 7));
    const uint16x4_t nan = vand_u16(vadd_u16(half, vdup_n_u16(0x80)), vdup_n_u16(0x4000));
    return vcvt_f32_f16(vreinterpret_f16_u16(vorr_u16(half, nan)));
  }
  static Vec load(const unsigned char* p) { return load_part(p, 4); }
};

// NaN as the reference writes it: the sign and one quiet bit.
inline Vec plain_nan(Vec a) {
  const uint32x4_t sign = vandq_u32(vreinterpretq_u32_f32(a), vdupq_n_u32(0x80000000u));
  return vbslq_f32(vceqq_f32(a, a), a, vreinterpretq_f32_u32(vorrq_u32(sign, vdupq_n_u32(0x7fc00000u))));
}

struct ToBf16 {
  static void store(unsigned char* p, Vec a) {
    const uint32x4_t bits = vreinterpretq_u32_f32(a), high = vshrq_n_u32(bits, 16);
    const uint32x4_t odd = vandq_u32(high, vdupq_n_u32(1));
    const uint32x4_t rounded = vshrq_n_u32(vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd), 16);
    const uint32x4_t quiet = vorrq_u32(high, vdupq_n_u32(0x40));
    vst1_u8(p, vreinterpret_u8_u16(vmovn_u32(vbslq_u32(vceqq_f32(a, a), rounded, quiet))));
  }
};
struct ToF16 {
  static void store(unsigned char* p, Vec a) { vst1_u8(p, vreinterpret_u8_f16(vcvt_f16_f32(a))); }
};

}  // namespace
}  // namespace ponder::kernels
