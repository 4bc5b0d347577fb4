// Dots of quantised weights with int8 activations: row_to_int8, and dot, fill and matmul_int8 of every block type.
#include <algorithm>
#include <string>

#include "tests/kernels/block_types.h"

using namespace ponder::kernels;

namespace {

// Rows of activations as units, unit u of token t at [t][u], or at [u][t] for panels; and the values they stand for.
struct Int8Rows {
  Int8Rows(const Input<float>& x, std::size_t n_tokens, std::size_t n, bool for_panels) : units(n_tokens * int8_units(n)), values(n_tokens * n) {
    const std::size_t n_units = int8_units(n);
    for (std::size_t t = 0; t < n_tokens; ++t) {
      if (for_panels) row_to_int8_ref(units.data() + t, n_tokens, x.data() + t * n, n);
      else row_to_int8_ref(units.data() + t * n_units, 1, x.data() + t * n, n);
      for (std::size_t u = 0; u < n_units; ++u) {
        const Int8Unit& unit = for_panels ? units[u * n_tokens + t] : units[t * n_units + u];
        for (std::size_t k = 0; k < 256; ++k)
          if (unit.scale[k / 16] != 0) values[t * n + int8_unit_begin(u, n) + k] = unit.scale[k / 16] * unit.q[k];
      }
    }
  }
  std::vector<Int8Unit> units;
  std::vector<float> values;
};

struct Run {
  std::size_t n_tokens, n_rows, n_cols, skip = 0, drop = 0;
};

// y beside the exact dots of `rows` with `decoded`, [n_rows, n_cols].
void check_dots(const Output<float>& y, std::size_t y_stride, const Int8Rows& rows, const std::vector<double>& decoded,
                const Run& run) {
  std::size_t n_far = 0, n_outside = 0;
  for (std::size_t t = 0; t < run.n_tokens; ++t)
    for (std::size_t n = 0; n < y_stride; ++n) {
      if (n < run.skip || n >= run.n_rows - run.drop) {
        n_outside += !y.untouched(t * y_stride + n);
        continue;
      }
      double sum = 0, magnitude = 0;
      for (std::size_t k = 0; k < run.n_cols; ++k) {
        const double product = double{rows.values[t * run.n_cols + k]} * decoded[n * run.n_cols + k];
        sum += product;
        magnitude += std::abs(product);
      }
      n_far += !near(y[t * y_stride + n], sum, 3e-5 * magnitude);
    }
  CHECK(n_far == 0);
  CHECK(n_outside == 0);
  CHECK(y.guards_intact());
}

void check_dot(const Type& type, const Run& run) {
  CAPTURE(run.n_tokens);
  CAPTURE(run.n_rows);
  CAPTURE(run.n_cols);
  const BlockMatrix w(type, run.n_rows, run.n_cols, run.n_tokens * 1009 + run.n_rows);
  const Input<float> x(run.n_tokens * run.n_cols);
  Random random(run.n_cols);
  fill(x, random);
  const Int8Rows rows(x, run.n_tokens, run.n_cols, false);
  std::vector<double> decoded(run.n_rows * run.n_cols);
  for (std::size_t i = 0; i < decoded.size(); ++i) decoded[i] = w.decoded[i];
  const std::size_t y_stride = run.n_rows + 3;
  for_each_supported(type.int8, [&](const Int8Kernels* int8) {
    Output<float> y(run.n_tokens * y_stride);
    int8->dot(y.data(), y_stride, rows.units.data(), int8_units(run.n_cols), &w.blocks, run.n_tokens, run.skip,
              run.n_rows - run.drop, run.n_cols);
    check_dots(y, y_stride, rows, decoded, run);
  }, 0);
}

// Weights [row, row + n_rows) x [k, k + 256) as `fill` holds them: as they are, or rounded in steps of their scale.
void check_fill(const Type& type, const BlockMatrix& w, std::size_t n_cols, std::size_t row, std::size_t n_rows, std::size_t k) {
  CAPTURE(row);
  CAPTURE(n_rows);
  CAPTURE(k);
  for (const Impl<const Int8Kernels>& impl : type.int8) {
    if (!isa_supported(impl.isa)) continue;
    INFO("isa " << isa_name(impl.isa));
    const bool exact = impl.isa != Isa::avx512vnni || ponder::core::ops::panel_is_exact(type.type);
    Int8Panel panel;
    impl.fn->fill(&panel, &w.blocks, row, n_rows, k);
    CHECK((panel.group == 16 || panel.group == 32));
    std::size_t n_far = 0, n_coarse = 0;
    const std::size_t group = static_cast<std::size_t>(panel.group);
    for (std::size_t r = 0; r < n_rows; ++r)
      for (std::size_t g = 0; g < 256 / group; ++g) {
        const double scale = std::abs(double{panel.scale[g][r]});
        const double minimum = panel.bits < 8 ? std::abs(double{panel.minimum[g][r]}) : 0;
        double largest = 0;
        for (std::size_t i = group * g; i < group * (g + 1); ++i) {
          const double want = w.decoded[(row + r) * n_cols + k + i], terms = scale * std::abs(panel_code(panel, r, i)) + minimum;
          largest = std::max(largest, std::abs(want));
          n_far += !(std::abs(panel_weight(panel, r, i) - want) <= (exact ? 1e-6 * terms : 0.8 * scale));
        }
        // The scales and minima could give weights some times as large as those that the codes give.
        if (!exact) n_coarse += !(scale * 127 <= 8.0001 * largest);
      }
    CHECK(n_far == 0);
    CHECK(n_coarse == 0);
  }
}

}  // namespace

TEST_CASE("int8: rows become units with the bits of the reference, for any size and value") {
  for (std::size_t n : {256, 288, 512, 544, 736, 1408, 2048})
    for (std::size_t stride : {1, 3}) {
        CAPTURE(n);
        const Input<float> x(n);
        Random random(n);
        fill(x, random);
        for (std::size_t i = 0; i < 32; ++i) x[n - 64 + i] = 0;  // a group of zeros
        x[n - 1] = kDenormal;
        x[0] = -1000;
        const std::size_t n_units = int8_units(n);
        std::vector<Int8Unit> want(n_units * stride);
        row_to_int8_ref(want.data(), stride, x.data(), n);
        for_each_supported(row_to_int8_impls(), [&](RowToInt8Fn* fn) {
          std::vector<Int8Unit> got(n_units * stride);
          fn(got.data(), stride, x.data(), n);
          CHECK(std::memcmp(got.data(), want.data(), got.size() * sizeof(Int8Unit)) == 0);
        });
        double worst = 0;  // in steps
        for (std::size_t u = 0; u < n_units; ++u)
          for (std::size_t k = 0; k < 256; ++k) {
            const Int8Unit& unit = want[u * stride];
            const std::size_t at = int8_unit_begin(u, n) + k;
            if (at < u * 256) {  // the unit before has it
              CHECK((unit.q[k] == 0 && unit.scale[k / 16] == 0 && unit.scaled_sum[k / 16] == 0 && unit.offset[k / 32] == 0));
              continue;
            }
            const double scale = unit.scale[k / 16];
            if (scale > 0) worst = std::max(worst, std::abs(double{x[at]} / scale - unit.q[k]));
          }
        CHECK(worst <= 0.5001);
      }
}

TEST_CASE("int8: what is no number stays none") {
  for (float bad : {kNan, kInf, -kInf})
    for_each_supported(row_to_int8_impls(), [&](RowToInt8Fn* fn) {
        const Input<float> x(512);
        Random random(1);
        fill(x, random);
        x[300] = bad;
        std::vector<Int8Unit> units(2);
        fn(units.data(), 1, x.data(), 512);
        CHECK(std::isnan(units[1].scale[300 % 256 / 16]));
        CHECK(std::isnan(units[1].scaled_sum[300 % 256 / 16]));
        CHECK_FALSE(std::isnan(units[0].scale[0]));
      });
  for_each_type([](const Type& type) {
    for_each_supported(type.int8, [&](const Int8Kernels* int8) {
      BlockMatrix w(type, 3, 512, 1);
      const Input<float> x(512);
      Random random(2);
      fill(x, random);
      x[5] = kNan;
      const Int8Rows rows(x, 1, 512, false);
      float y[3];
      int8->dot(y, 3, rows.units.data(), 2, &w.blocks, 1, 0, 3, 512);
      CHECK((std::isnan(y[0]) && std::isnan(y[2])));
      if (type.type == ponder::core::DType::iq1_m) return;  // its scale is spread over nibbles
      const unsigned char not_a_number[] = {0x01, 0x7e};
      std::memcpy(w.bytes.data() + w.stride + type.scales[0], not_a_number, 2);  // row 1
      Int8Panel panel;
      int8->fill(&panel, &w.blocks, 0, 3, 0);
      CHECK(std::isnan(panel.scale[0][1]));
      CHECK_FALSE((std::isnan(panel.scale[0][0]) || std::isnan(panel.scale[0][2])));
    }, 0);
  });
}

TEST_CASE("int8: dots of every type are those of the decoded weights, nothing else is written") {
  for_each_type([](const Type& type) {
    for (std::size_t n_tokens : {1, 2, 3, 4, 5, 7, 8, 9, 13}) check_dot(type, {n_tokens, 5, 512});
    for (std::size_t n_rows : {1, 2, 33}) check_dot(type, {2, n_rows, 256});
    check_dot(type, {3, 21, 256, 5, 3});
    if (ponder::core::block_elements(type.type) == 32)
      for (std::size_t n_cols : {288, 480, 1408}) check_dot(type, {2, 3, n_cols});
  });
}

TEST_CASE("int8: the largest weights times the largest activations do not saturate") {
  for_each_type([](const Type& type) {
    if (type.type == ponder::core::DType::iq1_m) return;  // its scale is spread over nibbles
    for (const Impl<const Int8Kernels>& impl : type.int8) {
      if (!isa_supported(impl.isa)) continue;
      INFO("isa " << isa_name(impl.isa));
      for (int codes : {0x80, 0x7f, 0xff}) {  // Q8_0: -128, which no quantiser writes, 127; all bits: 63 of Q6_K
        BlockMatrix w(type, 1, 256, 1);
        const std::size_t block = ponder::core::block_bytes(type.type);
        for (std::size_t i = 0; i < w.row_bytes; ++i) {
          const auto in_half = [&](std::size_t at) { return i % block == at || i % block == at + 1; };
          if (!in_half(type.scales[0]) && !in_half(type.scales[1])) w.bytes[i] = static_cast<unsigned char>(codes);
        }
        std::vector<float> decoded(256);
        reference(type.to_f32)(decoded.data(), w.bytes.data(), 256);
        for (float sign : {1.0f, -1.0f}) {
          const Input<float> x(256);
          double want = 0, magnitude = 0;
          for (std::size_t i = 0; i < 256; ++i) {
            x[i] = decoded[i] < 0 ? -sign : sign;
            want += double{x[i]} * decoded[i];
            magnitude += std::abs(double{decoded[i]});
          }
          const Int8Rows rows(x, 1, 256, false);
          float y = 0;
          impl.fn->dot(&y, 1, rows.units.data(), 1, &w.blocks, 1, 0, 1, 256);
          CHECK(near(y, want, 3e-5 * magnitude));
          Int8Panel panel;
          impl.fn->fill(&panel, &w.blocks, 0, 1, 0);
          double rounded = 0;
          for (std::size_t i = 0; i < 256; ++i) rounded += double{x[i]} * panel_weight(panel, 0, i);
          pick(matmul_int8_impls(), impl.isa)(&y, 1, rows.units.data(), 1, &w.blocks, impl.fn->fill, 1, 0, 1, 256);
          CHECK(near(y, rounded, 3e-5 * magnitude));
        }
      }
    }
  });
}

TEST_CASE("int8: a panel holds the weights of every type, rounded once") {
  for_each_type([](const Type& type) {
    const std::size_t n_cols = ponder::core::block_elements(type.type) == 32 ? 480 : 512;
    const BlockMatrix w(type, 70, n_cols, 3);
    check_fill(type, w, n_cols, 0, 32, 0);
    check_fill(type, w, n_cols, 32, 32, n_cols - 256);
    check_fill(type, w, n_cols, 64, 6, 0);
    check_fill(type, w, n_cols, 69, 1, n_cols - 256);
    check_fill(type, w, n_cols, 3, 17, 0);
  });
}

TEST_CASE("int8: matmul multiplies what the panels hold, for any number of tokens and rows") {
  for_each_type([](const Type& type) {
    for (const Impl<const Int8Kernels>& impl : type.int8) {
      if (!isa_supported(impl.isa)) continue;
      INFO("isa " << isa_name(impl.isa));
      for (const Run& run : {Run{1, 40, 256}, Run{7, 33, 512}, Run{8, 16, 288}, Run{9, 1, 480}, Run{17, 70, 1408, 5, 3},
                             Run{300, 35, 256}, Run{256, 32, 512}}) {
        if (run.n_cols % ponder::core::block_elements(type.type) != 0) continue;
        CAPTURE(run.n_tokens);
        CAPTURE(run.n_rows);
        CAPTURE(run.n_cols);
        const BlockMatrix w(type, run.n_rows, run.n_cols, run.n_tokens);
        const Input<float> x(run.n_tokens * run.n_cols);
        Random random(run.n_cols);
        fill(x, random);
        const Int8Rows rows(x, run.n_tokens, run.n_cols, true);
        const std::size_t end = run.n_rows - run.drop, n_units = int8_units(run.n_cols);
        std::vector<double> rounded(run.n_rows * run.n_cols);  // where two units have a column, the first one's
        for (std::size_t row = run.skip; row < end; row += 32)
          for (std::size_t u = n_units; u-- > 0;) {
            Int8Panel panel;
            impl.fn->fill(&panel, &w.blocks, row, std::min<std::size_t>(32, end - row), int8_unit_begin(u, run.n_cols));
            for (std::size_t r = row; r < std::min(row + 32, end); ++r)
              for (std::size_t k = 0; k < 256; ++k)
                rounded[r * run.n_cols + int8_unit_begin(u, run.n_cols) + k] = panel_weight(panel, r - row, k);
          }
        const std::size_t y_stride = run.n_rows + 3;
        const auto check = [&](MatmulInt8Fn* fn) {
          Output<float> y(run.n_tokens * y_stride);
          fn(y.data(), y_stride, rows.units.data(), run.n_tokens, &w.blocks, impl.fn->fill, run.n_tokens, run.skip, end, run.n_cols);
          check_dots(y, y_stride, rows, rounded, run);
        };
        check(matmul_int8_ref);
        check(pick(matmul_int8_impls(), impl.isa));
      }
    }
  });
}
