// Blocks of several groups whose scales are small integers times an f16: after the groups, the scales themselves are
// searched, against the error of the whole block.
#pragma once

#include "kernels/base/quantize_search.inl.h"

namespace ponder::kernels {
namespace {

// W = d scale q; scale an integer low .. high.
template <class Codes, std::size_t n, std::size_t groups, int low, int high>
struct ScaledBlock {
  float d = 0;
  int scale[groups] = {};

  ScaledBlock() = default;
  ScaledBlock(const float* x, const float* w, unsigned char* out) {
    Group<n> g[groups];
    float ideal[groups];
    for (std::size_t i = 0; i < groups; ++i) {
      g[i] = Group<n>(x + n * i, w + n * i);
      ideal[i] = best_scale<Codes>(g[i]);
    }
    search(g, ideal, 1);
    codes(g, out);
  }

  // Scales and their error for a given d: those next to the ideal ones are tried too, `around` on either side.
  float choose(const Group<n>* g, const float* ideal, float with, int around) {
    d = as_half(with);
    float total = 0;
    for (std::size_t i = 0; i < groups; ++i) {
      const int middle = d != 0 ? nearest_integer(ideal[i] / d) : 0;
      float least = g[i].sum_xx;
      scale[i] = 0;
      for (int k = limited(middle - around, low, high); k <= limited(middle + around, low, high); ++k) {
        const float error = k == 0 ? g[i].sum_xx : scale_error<Codes>(g[i], d * static_cast<float>(k));
        if (error < least) least = error, scale[i] = k;
      }
      total += least;
    }
    return total;
  }

  // The best d for these scales and their codes.
  float fitted(const Group<n>* g) const {
    float xq = 0, qq = 0;
    for (std::size_t i = 0; i < groups; ++i) {
      const auto s = static_cast<float>(scale[i]);
      if (scale[i] == 0 || d == 0) continue;
      const Fit fit = fit_scale<Codes>(g[i], 1 / (d * s));
      if (fit.gain <= 0) continue;
      xq += s * (fit.gain / fit.scale), qq += s * s * (fit.gain / (fit.scale * fit.scale));
    }
    return qq > 0 ? xq / qq : 0;
  }

  void search(const Group<n>* g, const float* ideal, int around) {
    float extreme = 0, least = 0;
    for (std::size_t i = 0; i < groups; ++i) {
      least += g[i].sum_xx;
      if (absolute(ideal[i]) > absolute(extreme)) extreme = ideal[i];
    }
    ScaledBlock trial;
    const auto keep = [&](float error) {
      if (!(error < least)) return false;
      least = error;
      *this = trial;
      return true;
    };
    constexpr float kRatios[] = {1, 0.97f, 0.94f, 0.9f, 1.04f};
    constexpr int kEnds[] = {low, high};
    for (const int end : kEnds)
      for (const float ratio : kRatios) keep(trial.choose(g, ideal, extreme / static_cast<float>(end) * ratio, 0));
    for (int turn = 0; turn < 3; ++turn) {
      const float from = turn == 0 ? d : fitted(g);
      if (!keep(trial.choose(g, ideal, from, around)) && turn > 0) break;
    }
  }

  void codes(const Group<n>* g, unsigned char* out) const {
    for (std::size_t i = 0; i < groups; ++i) {
      const float factor = d * static_cast<float>(scale[i]), inverse = factor != 0 ? 1 / factor : 0;
      for (std::size_t p = 0; p < n / kLanes; ++p) {
        const Lanes q = Codes::nearest(g[i].x[p] * inverse);
        for (std::size_t l = 0; l < kLanes; ++l) *out++ = Codes::code(q[l]);
      }
    }
  }
};

// W = d scale q - dmin minimum; scale and minimum 0 .. most, q 0 .. top.
template <int top, std::size_t n, std::size_t groups, int most>
struct AffineBlock {
  float d = 0, dmin = 0;
  int scale[groups] = {}, minimum[groups] = {};

  AffineBlock() = default;
  AffineBlock(const float* x, const float* w, unsigned char* out) {
    Group<n> g[groups];
    Affine ideal[groups];
    for (std::size_t i = 0; i < groups; ++i) {
      g[i] = Group<n>(x + n * i, w + n * i);
      ideal[i] = best_affine<top, true>(g[i]);
    }
    search(g, ideal, 1);
    codes(g, out);
  }

  float choose(const Group<n>* g, const Affine* ideal, float with, float with_min, int around) {
    d = as_half(with), dmin = as_half(with_min);
    float total = 0;
    for (std::size_t i = 0; i < groups; ++i) {
      const int s = d > 0 ? nearest_integer(ideal[i].scale / d) : 0;
      const int m = dmin > 0 ? nearest_integer(ideal[i].minimum / dmin) : 0;
      float least = g[i].sum_xx;
      scale[i] = minimum[i] = 0;
      for (int a = limited(s - around, 0, most); a <= limited(s + around, 0, most); ++a)
        for (int b = limited(m - around, 0, most); b <= limited(m + around, 0, most); ++b) {
          const float error = affine_error<top>(g[i], d * static_cast<float>(a), dmin * static_cast<float>(b));
          if (error < least) least = error, scale[i] = a, minimum[i] = b;
        }
      total += least;
    }
    return total;
  }

  // The best d and dmin for these scales and their codes.
  void fitted(const Group<n>* g, float& with, float& with_min) const {
    float a = 0, b = 0, c = 0, u = 0, v = 0;  // [a -b; -b c] [d; dmin] = [u; -v]
    for (std::size_t i = 0; i < groups; ++i) {
      const auto s = static_cast<float>(scale[i]), m = static_cast<float>(minimum[i]);
      const AffineSums sums = affine_sums<top>(g[i], scale[i] > 0 && d > 0 ? 1 / (d * s) : 0, dmin * m);
      a += s * s * sums.qq, b += s * m * sums.q, c += m * m * g[i].sum_w;
      u += s * sums.xq, v += m * g[i].sum_x;
    }
    const float det = a * c - b * b;
    with = det > 0 ? (c * u - b * v) / det : a > 0 ? u / a : 0;
    with_min = det > 0 ? (b * u - a * v) / det : 0;
    if (!(with_min >= 0)) with_min = 0, with = a > 0 ? u / a : 0;
    if (!(with > 0)) with = d, with_min = dmin;
  }

  void search(const Group<n>* g, const Affine* ideal, int around) {
    float least = 0, most_scale = 0, most_minimum = 0;
    for (std::size_t i = 0; i < groups; ++i) {
      least += g[i].sum_xx;
      most_scale = greater(most_scale, ideal[i].scale), most_minimum = greater(most_minimum, ideal[i].minimum);
    }
    AffineBlock trial;
    const auto keep = [&](float error) {
      if (!(error < least)) return false;
      least = error;
      *this = trial;
      return true;
    };
    constexpr float kRatios[] = {1, 0.94f, 0.88f, 0.8f};
    constexpr int kCount = most <= 15 ? 4 : 2;
    for (int i = 0; i < kCount; ++i)
      for (int j = 0; j < kCount; ++j)
        keep(trial.choose(g, ideal, most_scale / most * kRatios[i], most_minimum / most * kRatios[j], 0));
    for (int turn = 0; turn < 3; ++turn) {
      float with = d, with_min = dmin;
      if (turn > 0) fitted(g, with, with_min);
      if (!keep(trial.choose(g, ideal, with, with_min, around)) && turn > 0) break;
    }
  }

  void codes(const Group<n>* g, unsigned char* out) const {
    for (std::size_t i = 0; i < groups; ++i) {
      const float factor = d * static_cast<float>(scale[i]), inverse = factor > 0 ? 1 / factor : 0;
      const float shift = dmin * static_cast<float>(minimum[i]);
      for (std::size_t p = 0; p < n / kLanes; ++p) {
        const Lanes q = Integers<0, top>::nearest((g[i].x[p] + shift) * inverse);
        for (std::size_t l = 0; l < kLanes; ++l) *out++ = Integers<0, top>::code(q[l]);
      }
    }
  }
};

}  // namespace
}  // namespace ponder::kernels
