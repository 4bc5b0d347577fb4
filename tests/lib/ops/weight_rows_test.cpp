// ops::quantize and ops::dequantize: rows, threads, and what is refused. The blocks themselves: tests/kernels.
#include "lib/ops/weight_rows.h"

#include <doctest/doctest.h>

#include <cstring>
#include <limits>
#include <string>
#include <vector>

using namespace ponder::core;
namespace kernels = ponder::kernels;

namespace {

constexpr std::size_t kRows = 37, kCols = 512;

struct Fixture {
  explicit Fixture(int n_threads) : table(kernels::make_table(kernels::highest_isa())) {
    pool = std::move(ThreadPool::create(n_threads)).value();
    ctx.kernels = &table;
    ctx.pool = pool.get();
  }
  Status quantize(DType type, const float* importance = nullptr) {
    out.assign(kRows * row_bytes(type, kCols), std::byte{0x5a});
    return ops::quantize(ctx, "blk.0.ffn_up.weight", type, out.data(), {x.data(), kRows, kCols}, importance);
  }
  kernels::Table table;
  std::unique_ptr<ThreadPool> pool;
  Context ctx;
  std::vector<float> x = numbers();
  std::vector<std::byte> out;

  static std::vector<float> numbers() {
    std::vector<float> values(kRows * kCols);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 7919 % 2001) / 1000 - 1;
    return values;
  }
};

Weight as_weight(DType type, const std::vector<std::byte>& bytes) {
  Weight w;
  w.type = type;
  w.data = bytes.data();
  w.n_out = kRows;
  w.n_in = kCols;
  return w;
}

}  // namespace

TEST_CASE("quantize: what is read back is near what was given, in every type that can be written") {
  Fixture f(2);
  for (std::size_t i = 0; i < kDTypeCount; ++i) {
    const auto type = static_cast<DType>(i);
    if (!ops::can_quantize(type)) continue;
    INFO("type " << dtype_name(type));
    REQUIRE(f.quantize(type).ok());
    std::vector<float> rows(2 * kCols);
    ops::dequantize(f.ctx, {rows.data(), 2, kCols}, as_weight(type, f.out), 30);
    double error = 0;
    for (std::size_t k = 0; k < rows.size(); ++k) error += std::abs(rows[k] - f.x[30 * kCols + k]);
    CHECK(error / static_cast<double>(rows.size()) < (type == DType::q2_k ? 0.2 : type == DType::q3_k ? 0.08 : 0.05));
  }
}

TEST_CASE("quantize: any number of threads gives the same bits") {
  Fixture one(1), three(3);
  std::vector<float> importance(kCols);
  for (std::size_t i = 0; i < kCols; ++i) importance[i] = static_cast<float>(i % 7) + 1;
  for (const DType type : {DType::q4_k, DType::q8_0, DType::f16}) {
    REQUIRE(one.quantize(type, importance.data()).ok());
    REQUIRE(three.quantize(type, importance.data()).ok());
    CHECK(one.out == three.out);
  }
}

TEST_CASE("quantize: a weight that is not finite or too large is refused with its place") {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity(), 65536.0f}) {
    Fixture f(2);
    f.x[20 * kCols + 3] = bad;
    f.x[5 * kCols + 300] = bad;
    const Status status = f.quantize(DType::q4_k);
    CHECK(status.code() == Code::numeric);
    CHECK(status.message().find("blk.0.ffn_up.weight: row 5, column 300 is ") == 0);
  }
  Fixture f(2);
  f.x[0] = 65536.0f;
  CHECK(f.quantize(DType::f32).ok());
  CHECK(f.quantize(DType::bf16).ok());
  CHECK(f.quantize(DType::f16).code() == Code::numeric);
}

TEST_CASE("quantize: types that cannot be written and rows that are no whole blocks are refused") {
  Fixture f(1);
  std::vector<std::byte> out(1000);
  const auto quantize = [&](DType type, std::size_t n_cols) {
    return ops::quantize(f.ctx, "w", type, out.data(), {f.x.data(), 1, n_cols}, nullptr);
  };
  CHECK(quantize(DType::iq2_xs, 256).message() == "w: IQ2_XS cannot be written");
  CHECK(quantize(DType::q4_k, 96).message() == "w: rows of 96, Q4_K wants a multiple of 256");
  CHECK(quantize(DType::q8_0, 96).ok());
}

TEST_CASE("dequantize: rows of fp8 have the scales of their own blocks") {
  std::vector<std::byte> codes(kRows * kCols, std::byte{0x38});  // 1.0
  std::vector<float> scales{1, 2, 3, 4}, rows(kCols);
  Weight w = as_weight(DType::f8_e4m3, codes);
  w.scale_inv = scales.data();
  Fixture f(1);
  ops::dequantize(f.ctx, {rows.data(), 1, kCols}, w, 36);
  CHECK(rows[0] == 1);
  CHECK(rows[128] == 2);
  CHECK(rows[511] == 4);
}
