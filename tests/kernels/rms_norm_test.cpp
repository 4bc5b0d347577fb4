#include "kernels/rms_norm/rms_norm.h"

#include "tests/kernels/kernel_test.h"

using namespace ponder::kernels;

namespace {

void check_rms_norm(RmsNormFn* fn, std::size_t n_tokens, std::size_t hidden_size, float magnitude, bool in_place) {
  CAPTURE(n_tokens);
  CAPTURE(hidden_size);
  CAPTURE(magnitude);
  Random random(hidden_size + 1);
  const std::size_t stride = hidden_size + 3;
  const Input<float> x(n_tokens == 0 ? 0 : (n_tokens - 1) * stride + hidden_size), weight(hidden_size);
  fill(x, random);
  fill(weight, random);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] *= magnitude;
  Output<float> y(n_tokens * stride), want(n_tokens * stride);
  rms_norm_ref(want.data(), stride, x.data(), stride, weight.data(), n_tokens, hidden_size, 1e-6f);
  if (in_place)
    for (std::size_t t = 0; t < n_tokens; ++t)
      for (std::size_t i = 0; i < hidden_size; ++i) y[t * stride + i] = x[t * stride + i];
  fn(y.data(), stride, in_place ? y.data() : x.data(), stride, weight.data(), n_tokens, hidden_size, 1e-6f);
  std::size_t n_wrong = 0, n_outside = 0;
  for (std::size_t t = 0; t < n_tokens; ++t)
    for (std::size_t i = 0; i < stride; ++i) {
      const std::size_t at = t * stride + i;
      if (i >= hidden_size)
        n_outside += !y.untouched(at);
      else
        n_wrong += !near(y[at], want[at], 1e-5 * std::abs(double{want[at]}) + 1e-40);
    }
  CHECK(n_wrong == 0);
  CHECK(n_outside == 0);
  CHECK(y.guards_intact());
}

}  // namespace

TEST_CASE("rms_norm: every size within 1e-5 of the reference, in place too, nothing else is written") {
  for_each_supported(rms_norm_impls(), [](RmsNormFn* fn) {
    for (std::size_t n_tokens : {0, 1, 3})
      for (std::size_t size : kOddSizes)
        for (bool in_place : {false, true}) check_rms_norm(fn, n_tokens, size, 1, in_place);
    check_rms_norm(fn, 2, 2048, 1, false);  // hidden_size of DeepSeek-V2-Lite
  });
}

TEST_CASE("rms_norm: squares neither overflow nor vanish") {
  for_each_supported(rms_norm_impls(), [](RmsNormFn* fn) {
    for (float magnitude : {1e-30f, 1e-3f, 1e25f, 1e38f}) check_rms_norm(fn, 2, 33, magnitude, false);
  });
}

TEST_CASE("rms_norm: a row of zeros stays zero, NaN stays in its row") {
  for_each_supported(rms_norm_impls(), [](RmsNormFn* fn) {
    const Input<float> x(3 * 19), weight(19);
    for (std::size_t i = 0; i < 19; ++i) weight[i] = 1, x[2 * 19 + i] = 1;
    x[19 + 18] = kNan;
    std::vector<float> y(3 * 19);
    fn(y.data(), 19, x.data(), 19, weight.data(), 3, 19, 1e-6f);
    for (std::size_t i = 0; i < 19; ++i) {
      CHECK(y[i] == 0);
      CHECK(std::isnan(y[19 + i]));
      CHECK(std::isfinite(y[38 + i]));
    }
  });
}

TEST_CASE("rms_norm: a row has the same bits alone and among others") {
  for_each_supported(rms_norm_impls(), [](RmsNormFn* fn) {
    Random random(1);
    const Input<float> x(4 * 45), weight(45);
    fill(x, random);
    fill(weight, random);
    std::vector<float> all(4 * 45), one(45);
    fn(all.data(), 45, x.data(), 45, weight.data(), 4, 45, 1e-6f);
    for (std::size_t t = 0; t < 4; ++t) {
      fn(one.data(), 45, x.data() + t * 45, 45, weight.data(), 1, 45, 1e-6f);
      CHECK(same_bits(one.data(), all.data() + t * 45, 45));
    }
  });
}
