// softmax.h in the vocabulary of avx2.inl.h / avx512.inl.h, which is included before. The tail is a vector with lanes of
// -inf, whose exp is 0: element i is added in lane i % kLanes, and trailing -inf add nothing.
#pragma once

#include "kernels/base/exp_simd.inl.h"

namespace ponder::kernels {
namespace {

constexpr float kMinusInfinity = -__builtin_inff();

inline Vec load_scores(const float* scores, std::size_t count, Vec scale) {
  if (count >= kLanes) return mul(load(scores), scale);
  return fill_part(mul(load_part(scores, count), scale), count, kMinusInfinity);
}
inline void store_scores(float* scores, std::size_t count, Vec p) {
  if (count >= kLanes) store(scores, p);
  else store_part(scores, p, count);
}

inline float largest_score(const float* scores, std::size_t n, Vec scale) {
  Vec largest = set1(kMinusInfinity);
  for (std::size_t i = 0; i < n; i += kLanes) largest = max_or_second(load_scores(scores + i, n - i, scale), largest);
  return max_lanes(largest);
}

inline float exp_scores(float* scores, std::size_t n, Vec scale, Vec max) {
  Vec sum = zero();
  for (std::size_t i = 0; i < n; i += kLanes) {
    const Vec p = exp_of_difference(load_scores(scores + i, n - i, scale), max);
    store_scores(scores + i, n - i, p);
    sum = add(sum, p);
  }
  return sum_lanes(sum);
}

inline float softmax_block_simd(float* scores, std::size_t n, float scale, float* running_max, float* rescale) {
  const float old_max = *running_max;
  const float largest = largest_score(scores, n, set1(scale));
  const float new_max = largest > old_max ? largest : old_max;
  *rescale = old_max == new_max ? 1.0f : first_lane(exp_of_difference(set1(old_max), set1(new_max)));
  *running_max = new_max;
  if (new_max != kMinusInfinity) return exp_scores(scores, n, set1(scale), set1(new_max));
  float sum = 0;  // every score is -inf, or NaN, which must show
  for (std::size_t i = 0; i < n; ++i) {
    const float s = scores[i] * scale;
    scores[i] = s == s ? 0.0f : s;
    sum += scores[i];
  }
  return sum;
}

inline void softmax_row_simd(float* scores, std::size_t n) {
  const Vec one = set1(1.0f);
  const Vec sum = set1(exp_scores(scores, n, one, set1(largest_score(scores, n, one))));
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(scores + i, div(load(scores + i), sum));
  if (i < n) store_part(scores + i, div(load_part(scores + i, n - i), sum), n - i);
}

}  // namespace
}  // namespace ponder::kernels
