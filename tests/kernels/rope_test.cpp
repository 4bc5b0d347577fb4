#include "kernels/rope/rope.h"

#include "tests/kernels/kernel_test.h"

using namespace ponder::kernels;

namespace {

// `second` is where the partner of pair i lies.
void check_rope(RopeFn* fn, bool interleaved, std::size_t n_heads, std::size_t n_dims) {
  CAPTURE(n_heads);
  CAPTURE(n_dims);
  Random random(n_dims + 1);
  const std::size_t stride = n_dims + 5;
  const Input<float> x(n_heads * stride), cos(n_dims / 2), sin(n_dims / 2);
  fill(x, random);
  for (std::size_t i = 0; i < n_dims / 2; ++i) {
    const float angle = random.uniform(-3, 3);
    cos[i] = std::cos(angle) * 1.1f;
    sin[i] = std::sin(angle) * 1.1f;
  }
  Output<float> y(n_heads * stride);
  for (std::size_t h = 0; h < n_heads; ++h)
    for (std::size_t i = 0; i < n_dims; ++i) y[h * stride + i] = x[h * stride + i];
  fn(y.data(), stride, cos.data(), sin.data(), n_heads, n_dims);
  std::size_t n_wrong = 0, n_outside = 0;
  for (std::size_t h = 0; h < n_heads; ++h) {
    for (std::size_t i = 0; i < n_dims / 2; ++i) {
      const std::size_t first = h * stride + (interleaved ? 2 * i : i);
      const std::size_t second = interleaved ? first + 1 : first + n_dims / 2;
      const double a = x[first], b = x[second], tolerance = 1e-6 * (std::abs(a) + std::abs(b));
      n_wrong += !near(y[first], a * double{cos[i]} - b * double{sin[i]}, tolerance);
      n_wrong += !near(y[second], b * double{cos[i]} + a * double{sin[i]}, tolerance);
    }
    for (std::size_t i = n_dims; i < stride; ++i) n_outside += !y.untouched(h * stride + i);
  }
  CHECK(n_wrong == 0);
  CHECK(n_outside == 0);
  CHECK(y.guards_intact());
}

void check_position_0(RopeFn* fn) {
  for (std::size_t n_dims : {2, 14, 16, 18, 32, 34, 64, 128}) {
    Random random(n_dims);
    const Input<float> x(3 * n_dims), cos(n_dims / 2), sin(n_dims / 2);
    fill(x, random);
    for (std::size_t i = 0; i < n_dims / 2; ++i) cos[i] = 1;
    const std::vector<float> before(x.data(), x.data() + x.size());
    fn(x.data(), n_dims, cos.data(), sin.data(), 3, n_dims);
    CHECK(same_bits(x.data(), before.data(), before.size()));
  }
}

}  // namespace

TEST_CASE("rope: every number of dims and heads is within 1e-6, nothing between heads is written") {
  for (std::size_t n_heads : {0, 1, 3, 16})
    for (std::size_t n_dims : {0, 2, 6, 8, 10, 14, 16, 18, 30, 32, 34, 64, 66, 128}) {
      for_each_supported(rope_interleaved_impls(), [&](RopeFn* fn) { check_rope(fn, true, n_heads, n_dims); });
      for_each_supported(rope_half_impls(), [&](RopeFn* fn) { check_rope(fn, false, n_heads, n_dims); });
    }
}

TEST_CASE("rope: position 0 leaves the vector unchanged") {
  for_each_supported(rope_interleaved_impls(), check_position_0);
  for_each_supported(rope_half_impls(), check_position_0);
}
