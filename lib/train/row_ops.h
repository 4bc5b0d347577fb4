// Operations on single rows, each with its gradient beside it. All of them are templates on the scalar: f32 trains, double is
// what the tests take central differences of.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "lib/ops/ops.h"
#include "lib/train/products.h"

namespace ponder::core {

// y = x * inv * weight, inv = 1 / sqrt(mean x^2 + eps), kept for the gradient.
template <class S>
void rms_norm(const Context& ctx, const Matrix<S>& y, S* inv, const Matrix<S>& x, const S* weight, double eps) {
  ops::for_rows(ctx, x.n_rows, x.n_cols, [&](std::size_t first, std::size_t count) {
    for (std::size_t t = first; t < first + count; ++t) {
      const S* in = x.row(t);
      double sum = 0;
      for (std::size_t i = 0; i < x.n_cols; ++i) sum += static_cast<double>(in[i]) * static_cast<double>(in[i]);
      inv[t] = static_cast<S>(1 / std::sqrt(sum / static_cast<double>(x.n_cols) + eps));
      for (std::size_t i = 0; i < x.n_cols; ++i) y.row(t)[i] = in[i] * inv[t] * weight[i];
    }
  });
}

// dx += inv (dy w - x^ mean(dy w x^)), dweight (may be null) += sum of dy x^, where x^ = x inv.
template <class S>
void rms_norm_grad(const Context& ctx, const Matrix<S>& dx, S* dweight, const Matrix<S>& dy, const Matrix<S>& x, const S* inv,
                   const S* weight) {
  const std::size_t width = x.n_cols;
  ops::for_rows(ctx, x.n_rows, 2 * width, [&](std::size_t first, std::size_t count) {
    for (std::size_t t = first; t < first + count; ++t) {
      double mean = 0;
      for (std::size_t i = 0; i < width; ++i)
        mean += static_cast<double>(dy.row(t)[i] * weight[i]) * static_cast<double>(x.row(t)[i] * inv[t]);
      const S m = static_cast<S>(mean / static_cast<double>(width));
      for (std::size_t i = 0; i < width; ++i)
        dx.row(t)[i] += inv[t] * (dy.row(t)[i] * weight[i] - x.row(t)[i] * inv[t] * m);
    }
  });
  if (!dweight) return;
  constexpr std::size_t kColumns = 32;  // of one task, which goes through all rows in order
  ctx.pool->parallel_for(
      (width + kColumns - 1) / kColumns,
      [&](std::size_t task) {
        const std::size_t first = task * kColumns, end = std::min(first + kColumns, width);
        for (std::size_t t = 0; t < x.n_rows; ++t)
          for (std::size_t i = first; i < end; ++i) dweight[i] += dy.row(t)[i] * x.row(t)[i] * inv[t];
      },
      ctx.max_threads);
}

// Rotates pairs of each of n_heads heads, `step` elements apart from `x` on: (2i, 2i + 1) when interleaved, else
// (i, i + n_pairs). The gradient is the rotation back, direction -1 (the scale that cos and sin carry stays).
template <class S>
void rotate(S* x, std::size_t step, std::size_t n_heads, const S* cos, const S* sin, std::size_t n_pairs, bool interleaved,
            int direction) {
  for (std::size_t head = 0; head < n_heads; ++head, x += step)
    for (std::size_t i = 0; i < n_pairs; ++i) {
      S& a = x[interleaved ? 2 * i : i];
      S& b = x[interleaved ? 2 * i + 1 : i + n_pairs];
      const S s = direction > 0 ? sin[i] : -sin[i], first = a;
      a = first * cos[i] - b * s;
      b = first * s + b * cos[i];
    }
}

// y = silu(gate) up
template <class S>
void swiglu(const Context& ctx, const Matrix<S>& y, const Matrix<S>& gate, const Matrix<S>& up) {
  ops::for_rows(ctx, y.n_rows, 8 * y.n_cols, [&](std::size_t first, std::size_t count) {
    for (std::size_t t = first; t < first + count; ++t)
      for (std::size_t i = 0; i < y.n_cols; ++i) {
        const S g = gate.row(t)[i];
        y.row(t)[i] = g / (1 + std::exp(-g)) * up.row(t)[i];
      }
  });
}

// dgate = dy up sig (1 + gate (1 - sig)), dup = dy silu(gate); dgate may be dy.
template <class S>
void swiglu_grad(const Context& ctx, const Matrix<S>& dgate, const Matrix<S>& dup, const Matrix<S>& dy, const Matrix<S>& gate,
                 const Matrix<S>& up) {
  ops::for_rows(ctx, dy.n_rows, 8 * dy.n_cols, [&](std::size_t first, std::size_t count) {
    for (std::size_t t = first; t < first + count; ++t)
      for (std::size_t i = 0; i < dy.n_cols; ++i) {
        const S g = gate.row(t)[i], sig = 1 / (1 + std::exp(-g)), d = dy.row(t)[i];
        dup.row(t)[i] = d * g * sig;
        dgate.row(t)[i] = d * up.row(t)[i] * sig * (1 + g * (1 - sig));
      }
  });
}

template <class S>
void add_rows(const Context& ctx, const Matrix<S>& y, const Matrix<S>& a, const Matrix<S>& b) {  // y = a + b
  ops::for_rows(ctx, y.n_rows, y.n_cols, [&](std::size_t first, std::size_t count) {
    for (std::size_t t = first; t < first + count; ++t)
      for (std::size_t i = 0; i < y.n_cols; ++i) y.row(t)[i] = a.row(t)[i] + b.row(t)[i];
  });
}

struct PickedLogprob {
  double logprob = 0;
  double log_sum = 0;  // log of the sum of exp(z / temperature)
  double entropy = 0;
};

// log_softmax(z / temperature)[picked]: the one kernel of SFT (temperature 1) and GRPO.
template <class S>
PickedLogprob pick_logprob(const S* z, std::size_t n, std::int32_t picked, double temperature) {
  const double largest = static_cast<double>(*std::max_element(z, z + n)) / temperature;
  double sum = 0, weighted = 0;  // of e and of e (z / temperature - largest)
  for (std::size_t v = 0; v < n; ++v) {
    const double shifted = static_cast<double>(z[v]) / temperature - largest, e = std::exp(shifted);
    sum += e;
    weighted += e * shifted;
  }
  PickedLogprob p;
  p.log_sum = largest + std::log(sum);
  p.logprob = static_cast<double>(z[picked]) / temperature - p.log_sum;
  p.entropy = std::log(sum) - weighted / sum;
  return p;
}

// z becomes the gradient of the logits, g / temperature ([v = picked] - softmax(z / temperature)), where g = dL / dlogprob.
template <class S>
void pick_logprob_grad(S* z, std::size_t n, std::int32_t picked, double temperature, double log_sum, double g) {
  const double factor = g / temperature;
  for (std::size_t v = 0; v < n; ++v)
    z[v] = static_cast<S>(-factor * std::exp(static_cast<double>(z[v]) / temperature - log_sum));
  z[picked] += static_cast<S>(factor);
}

// Weights of one token's chosen experts from the scores of all, as lib/model/router.cpp makes them; the choice is given.
//   normalised: w = factor r / (sum r + 1e-20), else w = factor r, where r are the scores of the chosen.
struct GateRule {
  bool sigmoid = false, normalised = false;
  double factor = 1;
};

// logits become scores.
template <class S>
void gate_weights(const GateRule& rule, S* scores, std::size_t n_experts, const std::int32_t* ids, S* weights,
                  std::size_t top_k) {
  if (rule.sigmoid) {
    for (std::size_t e = 0; e < n_experts; ++e) scores[e] = 1 / (1 + std::exp(-scores[e]));
  } else {
    const S largest = *std::max_element(scores, scores + n_experts);
    double sum = 0;
    for (std::size_t e = 0; e < n_experts; ++e) sum += static_cast<double>(scores[e] = std::exp(scores[e] - largest));
    for (std::size_t e = 0; e < n_experts; ++e) scores[e] = static_cast<S>(static_cast<double>(scores[e]) / sum);
  }
  double sum = 1e-20;
  for (std::size_t k = 0; k < top_k; ++k) sum += static_cast<double>(scores[ids[k]]);
  for (std::size_t k = 0; k < top_k; ++k)
    weights[k] = static_cast<S>(rule.factor * static_cast<double>(scores[ids[k]]) / (rule.normalised ? sum : 1));
}

// dlogits from dweights; the choice is a constant.
template <class S>
void gate_weights_grad(const GateRule& rule, S* dlogits, const S* scores, std::size_t n_experts, const std::int32_t* ids,
                       const S* dweights, std::size_t top_k) {
  std::fill_n(dlogits, n_experts, S(0));
  S sum = static_cast<S>(1e-20), projected = 0;
  for (std::size_t k = 0; k < top_k; ++k) sum += scores[ids[k]];
  for (std::size_t k = 0; k < top_k; ++k) projected += dweights[k] * scores[ids[k]] / sum;
  for (std::size_t k = 0; k < top_k; ++k)
    dlogits[ids[k]] = static_cast<S>(rule.factor) * (rule.normalised ? (dweights[k] - projected) / sum : dweights[k]);
  if (rule.sigmoid) {
    for (std::size_t e = 0; e < n_experts; ++e) dlogits[e] *= scores[e] * (1 - scores[e]);
  } else {
    S mean = 0;
    for (std::size_t e = 0; e < n_experts; ++e) mean += dlogits[e] * scores[e];
    for (std::size_t e = 0; e < n_experts; ++e) dlogits[e] = scores[e] * (dlogits[e] - mean);
  }
}

}  // namespace ponder::core
