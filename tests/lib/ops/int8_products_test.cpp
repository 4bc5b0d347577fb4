// Products of block-quantised weights in fast compute, which meet their activations as int8.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "lib/ops/int8_rows.h"
#include "lib/ops/weight_rows.h"

using namespace ponder::core;
namespace kernels = ponder::kernels;

namespace {

constexpr std::size_t kIn = 512, kOut = 160;

std::vector<float> some_values(std::size_t n, std::uint64_t state) {
  std::vector<float> values(n);
  for (float& value : values) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    value = static_cast<float>(state >> 40) * 0x1p-23f - 1.0f;
  }
  return values;
}

// A gated pair and a plain product over `n_rows` rows, and one product over two other rows, as an expert has them.
struct Region {
  kernels::Table table;
  std::unique_ptr<ThreadPool> pool;
  Context ctx;
  std::vector<std::byte> bytes[4];
  Weight weights[4];
  std::vector<float> x, other_x, y[3];
  std::vector<kernels::Int8Unit> units;

  Region(DType type, int n_threads, kernels::Isa isa = kernels::highest_isa())
      : table(kernels::make_table(isa)), pool(std::move(ThreadPool::create(n_threads)).value()) {
    ctx.kernels = &table;
    ctx.pool = pool.get();
    ctx.compute = Compute::fast;
    for (std::size_t i = 0; i < 4; ++i) {
      auto values = some_values(kOut * kIn, i);
      bytes[i].resize(kOut * row_bytes(type, kIn));
      REQUIRE(ops::quantize(ctx, "w", type, bytes[i].data(), Tensor(values.data(), kOut, kIn), nullptr).ok());
      weights[i].type = type;
      weights[i].data = bytes[i].data();
      weights[i].n_out = kOut;
      weights[i].n_in = kIn;
    }
  }
  void run(std::size_t n_rows) {
    x = some_values(n_rows * kIn, 10);
    other_x = some_values(2 * kIn, 11);
    for (auto& out : y) out.assign(n_rows * kOut, -1.0f);
    const Tensor in(x.data(), n_rows, kIn);
    ops::Product products[] = {{Tensor(y[0].data(), n_rows, kOut), in, &weights[0], &weights[1]},
                               {Tensor(y[1].data(), n_rows, kOut), in, &weights[2]},
                               {Tensor(y[1].data(), 0, kOut), in.rows(0, 0), &weights[2]},
                               {Tensor(y[2].data(), 2, kOut), Tensor(other_x.data(), 2, kIn), &weights[3]}};
    ops::matmul_all(ctx, products);
  }
  void give_units(std::size_t n_rows) {
    units.resize((n_rows + 2) * kernels::int8_units(kIn));
    ctx.int8_units = units.data();
    ctx.n_int8_units = units.size();
  }
};

double relative_error(const std::vector<float>& got, const std::vector<float>& want, std::size_t n) {
  double error = 0, magnitude = 0;
  for (std::size_t i = 0; i < n; ++i) {
    error += (double{got[i]} - want[i]) * (double{got[i]} - want[i]);
    magnitude += double{want[i]} * want[i];
  }
  return std::sqrt(error / magnitude);
}

constexpr DType kTypes[] = {DType::q4_0, DType::q8_0, DType::q2_k, DType::q4_k, DType::q6_k, DType::iq4_xs};

}  // namespace

TEST_CASE("int8 products: near the exact ones, for few rows and many") {
  for (kernels::Isa isa : {kernels::Isa::avx2, kernels::highest_isa()})
    for (DType type : kTypes)
      for (std::size_t n_rows : {2, 7, 8, 9, 10, 40, 300}) {
        CAPTURE(kernels::isa_name(isa));
        CAPTURE(dtype_name(type));
        CAPTURE(n_rows);
        Region fast(type, 2, isa), exact(type, 2, isa);
        fast.give_units(n_rows);
        fast.run(n_rows);
        exact.ctx.compute = Compute::exact;
        exact.run(n_rows);
        CHECK(relative_error(fast.y[0], exact.y[0], n_rows * kOut) < 0.02);
        CHECK(relative_error(fast.y[1], exact.y[1], n_rows * kOut) < 0.012);
        CHECK(relative_error(fast.y[2], exact.y[2], 2 * kOut) < 0.006);
        // They do run, and what they are not for is exact.
        CHECK((fast.y[1] == exact.y[1]) == !ops::int8_kernels(fast.ctx, type, kIn));
        for (std::size_t i = 2 * kOut; i < n_rows * kOut; ++i) REQUIRE(fast.y[2][i] == -1.0f);
      }
}

TEST_CASE("int8 products: the same bits for any number of threads") {
  for (std::size_t n_rows : {3, 41, 520}) {
    Region one(DType::q4_k, 1);
    one.give_units(n_rows);
    one.run(n_rows);
    for (int n_threads : {2, 3, 5}) {
      Region several(DType::q4_k, n_threads);
      several.give_units(n_rows);
      several.run(n_rows);
      for (std::size_t i = 0; i < 3; ++i) CHECK(several.y[i] == one.y[i]);
    }
  }
}

TEST_CASE("int8 products: without room for the rows they are exact") {
  Region fast(DType::q4_k, 2), exact(DType::q4_k, 2);
  fast.give_units(9);
  fast.ctx.n_int8_units = 9 * kernels::int8_units(kIn);  // none is left for the last product
  fast.run(9);
  exact.ctx.compute = Compute::exact;
  exact.run(9);
  CHECK(fast.y[2] == exact.y[2]);
  fast.ctx.n_int8_units = 0;
  fast.run(9);
  for (std::size_t i = 0; i < 3; ++i) CHECK(fast.y[i] == exact.y[i]);
}

TEST_CASE("int8 products: on one thread, of a few rows of any width that heads have") {
  struct Shape {
    std::size_t n_tokens, n_out, n_in;
    bool taken;  // by int8 kernels, where there are some
  };
  for (DType type : {DType::q4_0, DType::q5_0, DType::q8_0})
    for (const Shape& s : {Shape{1, 128, 512, true}, Shape{4, 128, 512, true}, Shape{1, 512, 128, true}, Shape{2, 300, 128, true},
                           Shape{5, 512, 128, false}, Shape{1, 7, 128, false}, Shape{9, 64, 256, false}, Shape{1, 64, 96, false}}) {
      CAPTURE(dtype_name(type));
      CAPTURE(s.n_tokens);
      CAPTURE(s.n_in);
      Region region(type, 1);
      auto values = some_values(s.n_out * s.n_in, 1), in = some_values(s.n_tokens * s.n_in, 2);
      std::vector<std::byte> bytes(s.n_out * row_bytes(type, s.n_in));
      REQUIRE(ops::quantize(region.ctx, "w", type, bytes.data(), Tensor(values.data(), s.n_out, s.n_in), nullptr).ok());
      Weight w;
      w.type = type;
      w.data = bytes.data();
      w.n_out = s.n_out;
      w.n_in = s.n_in;
      const Tensor x(in.data(), s.n_tokens, s.n_in);
      std::vector<float> got(s.n_tokens * s.n_out, -1.0f), want(got);
      const bool done = ops::int8_matmul_serial(region.ctx, Tensor(got.data(), s.n_tokens, s.n_out), x, w);
      CHECK(done == (s.taken && ops::int8_kernels(region.ctx, type, 256) != nullptr));
      region.ctx.compute = Compute::exact;
      ops::matmul_serial(region.ctx, Tensor(want.data(), s.n_tokens, s.n_out), x, w);
      if (done) CHECK(relative_error(got, want, got.size()) < 0.006);
      else CHECK(got == std::vector<float>(got.size(), -1.0f));
    }
}
