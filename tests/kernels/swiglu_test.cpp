#include "kernels/swiglu/swiglu.h"

#include "tests/kernels/kernel_test.h"

using namespace ponder::kernels;

namespace {
constexpr double kError = 1e-6, kSmallest = 1.5e-45;  // half a step of the smallest denormals
double tolerance(double want) { return kError * std::abs(want) + kSmallest; }
}  // namespace

TEST_CASE("swiglu: every size within 1e-6 of the reference, nothing else is written, y may be gate or up") {
  for_each_supported(swiglu_impls(), [](SwigluFn* fn) {
    for (std::size_t n : {0, 1, 7, 8, 9, 15, 16, 17, 33, 1408}) {
      CAPTURE(n);
      Random random(n + 1);
      const Input<float> gate(n), up(n);
      for (std::size_t i = 0; i < n; ++i) gate[i] = random.uniform(-12, 12), up[i] = random.uniform(-3, 3);
      std::vector<float> want(n);
      swiglu_ref(want.data(), gate.data(), up.data(), n);
      for (int place : {0, 1, 2}) {
        Output<float> y(n);
        for (std::size_t i = 0; i < n && place; ++i) y[i] = place == 1 ? gate[i] : up[i];
        fn(y.data(), place == 1 ? y.data() : gate.data(), place == 2 ? y.data() : up.data(), n);
        std::size_t n_wrong = 0;
        for (std::size_t i = 0; i < n; ++i) n_wrong += !near(y[i], want[i], tolerance(want[i]));
        CHECK(n_wrong == 0);
        CHECK(y.guards_intact());
      }
    }
  });
}

TEST_CASE("swiglu: large, tiny, infinite and NaN gates") {
  const float gates[] = {0.0f, -0.0f, kDenormal, -kDenormal, 1e-30f, -1e-30f, 20, -20, 80, -80, 87.5f, -87.5f,
                         88.8f, -88.8f, 95, -95, 103, -103, 104.5f, -104.5f, 1e30f, kInf, kNan, 3e38f};
  constexpr std::size_t n = sizeof gates / sizeof gates[0];
  for_each_supported(swiglu_impls(), [&](SwigluFn* fn) {
    for (float up : {1.0f, -1e20f, 1e-10f}) {
      std::vector<float> ups(n, up), y(n), want(n);
      fn(y.data(), gates, ups.data(), n);
      swiglu_ref(want.data(), gates, ups.data(), n);
      for (std::size_t i = 0; i < n; ++i) {
        INFO("gate " << gates[i] << ", up " << up << ": " << y[i] << ", want " << want[i]);
        CHECK(near(y[i], want[i], tolerance(want[i])));
      }
    }
  });
}

TEST_CASE("swiglu: the bits depend on gate and up alone, not on the place") {
  for_each_supported(swiglu_impls(), [](SwigluFn* fn) {
    Random random(5);
    const Input<float> gate(50), up(50);
    for (std::size_t i = 0; i < 50; ++i) gate[i] = random.uniform(-5, 5), up[i] = random.uniform(-1, 1);
    std::vector<float> all(50), one(1);
    fn(all.data(), gate.data(), up.data(), 50);
    for (std::size_t i = 0; i < 50; ++i) {
      fn(one.data(), gate.data() + i, up.data() + i, 1);
      CHECK(same_bits(one.data(), all.data() + i, 1));
    }
  });
}
