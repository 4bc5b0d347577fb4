#include "kernels/softmax/softmax.h"

#include "tests/kernels/kernel_test.h"

using namespace ponder::kernels;

namespace {

constexpr double kExpError = 4e-7;  // 2e-7 of exp, and the roundings of the product and the sum of exponents

struct Block {
  float sum, max, rescale;
};
Block run(SoftmaxBlockFn* fn, float* scores, std::size_t n, float scale, float max) {
  Block b{0, max, kNan};
  b.sum = fn(scores, n, scale, &b.max, &b.rescale);
  return b;
}

}  // namespace

TEST_CASE("softmax_block: every size against exp in f64, nothing else is written") {
  for_each_supported(softmax_block_impls(), [](SoftmaxBlockFn* fn) {
    for (std::size_t n : {1, 7, 8, 9, 15, 16, 17, 33, 64, 577})
      for (float old_max : {-kInf, -2.0f, 0.25f, 50.0f}) {
        CAPTURE(n);
        CAPTURE(old_max);
        Random random(n);
        const float scale = 0.125f;
        Output<float> scores(n);
        std::vector<float> before(n);
        float max = old_max;
        for (std::size_t i = 0; i < n; ++i) {
          scores[i] = before[i] = random.uniform(-40, 40);
          max = std::max(max, before[i] * scale);
        }
        const Block b = run(fn, scores.data(), n, scale, old_max);
        CHECK(b.max == max);
        const double want_rescale = old_max == max ? 1.0 : std::exp(double{old_max} - double{max});
        CHECK(near(b.rescale, want_rescale, kExpError * want_rescale));
        double sum = 0;
        std::size_t n_wrong = 0;
        for (std::size_t i = 0; i < n; ++i) {
          const double want = std::exp(double{before[i] * scale} - double{max});
          n_wrong += !near(scores[i], want, kExpError * want);
          sum += want;
        }
        CHECK(n_wrong == 0);
        CHECK(near(b.sum, sum, 1e-6 * sum));
        CHECK(scores.guards_intact());
      }
  });
}

TEST_CASE("softmax_block: no scores change nothing") {
  for_each_supported(softmax_block_impls(), [](SoftmaxBlockFn* fn) {
    for (float max : {-kInf, 3.0f}) {
      float none = 7;
      const Block b = run(fn, &none, 0, 1, max);
      CHECK(b.sum == 0);
      CHECK(b.max == max);
      CHECK(b.rescale == 1);
      CHECK(none == 7);
    }
  });
}

TEST_CASE("softmax_block: all -inf gives zeros and leaves the running maximum") {
  for_each_supported(softmax_block_impls(), [](SoftmaxBlockFn* fn) {
    for (std::size_t n : {1, 8, 19})
      for (float max : {-kInf, 1.5f}) {
        std::vector<float> scores(n, -kInf);
        const Block b = run(fn, scores.data(), n, 0.5f, max);
        CHECK(b.sum == 0);
        CHECK(b.max == max);
        CHECK(b.rescale == 1);
        for (float p : scores) CHECK(p == 0);
      }
  });
}

TEST_CASE("softmax_block: -inf among scores becomes 0, trailing -inf change no bit") {
  for_each_supported(softmax_block_impls(), [](SoftmaxBlockFn* fn) {
    if (fn == softmax_block_ref) return;
    Random random(2);
    std::vector<float> plain(13), padded(40, -kInf);
    for (std::size_t i = 0; i < 13; ++i) plain[i] = padded[i] = i == 4 ? -kInf : random.uniform(-5, 5);
    const Block a = run(fn, plain.data(), 13, 0.7f, -1), b = run(fn, padded.data(), 40, 0.7f, -1);
    CHECK(same_bits(&a.sum, &b.sum, 1));
    CHECK(same_bits(&a.rescale, &b.rescale, 1));
    CHECK(same_bits(plain.data(), padded.data(), 13));
    CHECK(plain[4] == 0);
    for (std::size_t i = 13; i < 40; ++i) CHECK(padded[i] == 0);
  });
}

TEST_CASE("softmax_block: a NaN score shows in the sum, wherever it stands") {
  for_each_supported(softmax_block_impls(), [](SoftmaxBlockFn* fn) {
    for (std::size_t n : {1, 9, 20})
      for (std::size_t at : {std::size_t{0}, n - 1})
        for (float others : {1.0f, -kInf}) {
          std::vector<float> scores(n, others);
          scores[at] = kNan;
          CHECK(std::isnan(run(fn, scores.data(), n, 1, -kInf).sum));
        }
  });
}

TEST_CASE("softmax_block: differences far below and exactly at the maximum") {
  for_each_supported(softmax_block_impls(), [](SoftmaxBlockFn* fn) {
    float scores[] = {0, -10, -50, -87, -88, -90, -100, -103, -104, -110, -1000, -3e38f, -0.0f, -1e-20f};
    constexpr std::size_t n = sizeof scores / sizeof scores[0];
    std::vector<float> p(scores, scores + n);
    (void)run(fn, p.data(), n, 1, -kInf);
    for (std::size_t i = 0; i < n; ++i) {
      INFO(scores[i]);
      const double want = std::exp(double{scores[i]});
      CHECK(near(p[i], want, kExpError * want + 1.5e-45));
    }
  });
}

TEST_CASE("softmax_row: every size against f64, nothing else is written") {
  for_each_supported(softmax_row_impls(), [](SoftmaxRowFn* fn) {
    for (std::size_t n : {0, 1, 7, 8, 9, 15, 16, 17, 33, 64, 256}) {
      CAPTURE(n);
      Random random(n + 1);
      Output<float> scores(n);
      std::vector<float> want(n);
      for (std::size_t i = 0; i < n; ++i) scores[i] = want[i] = random.uniform(-20, 20) + 1000;
      softmax_row_ref(want.data(), n);
      fn(scores.data(), n);
      std::size_t n_wrong = 0;
      for (std::size_t i = 0; i < n; ++i) n_wrong += !near(scores[i], want[i], 2e-6 * double{want[i]});
      CHECK(n_wrong == 0);
      CHECK(scores.guards_intact());
    }
  });
}

TEST_CASE("softmax_row: -inf becomes 0, NaN spreads to the row") {
  for_each_supported(softmax_row_impls(), [](SoftmaxRowFn* fn) {
    std::vector<float> scores = {1, -kInf, 2, 1, 1, 1, 1, 1, 3, -kInf};
    fn(scores.data(), scores.size());
    CHECK(scores[1] == 0);
    CHECK(scores[9] == 0);
    CHECK(scores[8] > scores[2]);
    scores[5] = kNan;
    fn(scores.data(), scores.size());
    for (float p : scores) CHECK(std::isnan(p));
  });
}
