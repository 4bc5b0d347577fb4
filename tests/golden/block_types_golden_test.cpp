// Ops on GGUF block types, on blocks quantised by ggml: see tests/data/gguf/README.md.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "lib/io/safetensors.h"
#include "lib/ops/ops.h"

using namespace ponder::core;
namespace kernels = ponder::kernels;

namespace {

constexpr std::size_t kRows = 3, kCols = 512;

template <class Body>
void for_each_block_type(Body&& body) {
  const auto folder = folder_source(PONDER_TEST_DATA "/gguf");
  auto file = folder->open("quant_blocks.safetensors");
  REQUIRE(file.ok());
  const auto golden = Safetensors::parse(std::move(file).value());
  REQUIRE(golden.ok());
  for (std::size_t i = static_cast<std::size_t>(DType::q4_0); i < kDTypeCount; ++i) {
    const std::string name(dtype_name(static_cast<DType>(i)));
    CAPTURE(name);
    const auto *raw = golden->find(name + ".raw"), *values = golden->find(name + ".dequant");
    REQUIRE((raw && values));
    Weight w;
    w.type = static_cast<DType>(i);
    w.data = raw->bytes.data();
    w.n_out = kRows;
    w.n_in = kCols;
    std::vector<float> want(kRows * kCols);
    std::memcpy(want.data(), values->bytes.data(), values->bytes.size());
    body(w, want);
  }
}

}  // namespace

TEST_CASE("golden: rows of an embedding in any block type are those of ggml") {
  const kernels::Table table = kernels::make_table(kernels::highest_isa());
  Context ctx;
  ctx.kernels = &table;
  for_each_block_type([&](const Weight& w, const std::vector<float>& want) {
    std::vector<float> rows(2 * kCols);
    ops::embed(ctx, {rows.data(), 2, kCols}, w, std::vector<std::int32_t>{2, 0});
    CHECK(std::equal(rows.begin(), rows.begin() + kCols, want.begin() + 2 * kCols));
    CHECK(std::equal(rows.begin() + kCols, rows.end(), want.begin()));
  });
}

TEST_CASE("golden: products with any block type have the bits of those with ggml's decoded weights") {
  for (const kernels::Isa isa : {kernels::Isa::ref, kernels::highest_isa()}) {
    const kernels::Table table = kernels::make_table(isa);
    Context ctx;
    ctx.kernels = &table;
    for_each_block_type([&](const Weight& w, std::vector<float>& decoded) {
      Weight plain = w;
      plain.type = DType::f32;
      plain.data = reinterpret_cast<const std::byte*>(decoded.data());
      std::vector<float> x(5 * kCols), y(5 * kRows), same(5 * kRows), left(5 * kCols), same_left(5 * kCols);
      for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 37 % 101) / 50 - 1;
      ops::matmul_serial(ctx, {y.data(), 5, kRows}, {x.data(), 5, kCols}, w);
      ops::matmul_serial(ctx, {same.data(), 5, kRows}, {x.data(), 5, kCols}, plain);
      CHECK(y == same);
      ops::vecmat_serial(ctx, {left.data(), 5, kCols}, {x.data(), 5, kRows}, w, false);
      ops::vecmat_serial(ctx, {same_left.data(), 5, kCols}, {x.data(), 5, kRows}, plain, false);
      CHECK(left == same_left);
    });
  }
}
