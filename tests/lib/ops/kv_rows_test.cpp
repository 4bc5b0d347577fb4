#include "lib/ops/kv_rows.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

using namespace ponder::core;
namespace kernels = ponder::kernels;

namespace {

struct Fixture {
  kernels::Table table = kernels::make_table(kernels::highest_isa());
  Context ctx;
  Fixture() { ctx.kernels = &table; }

  std::vector<float> round_trip(const ops::KvFormat& format, const std::vector<float>& values) {
    std::vector<std::byte> row(format.row_bytes());
    ops::kv_store(ctx, format, row.data(), values.data());
    std::vector<float> back(values.size());
    ops::kv_load(ctx, format, back.data(), row.data(), 0, back.size());
    return back;
  }
};

std::vector<float> some_values(std::size_t n) {
  std::vector<float> values(n);
  std::uint64_t state = 3;
  for (std::size_t i = 0; i < n; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    values[i] = (static_cast<float>(state >> 40) * 0x1p-23f - 1.0f) * static_cast<float>(1 + i / 100);
  }
  return values;
}

constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16, DType::q8_0, DType::f8_e4m3};

}  // namespace

TEST_CASE("kv rows: bytes of a V2-Lite row") {
  CHECK(ops::KvFormat{DType::f32, 576, 512}.row_bytes() == 2304);
  CHECK(ops::KvFormat{DType::bf16, 576, 512}.row_bytes() == 1152);
  CHECK(ops::KvFormat{DType::q8_0, 576, 512}.row_bytes() == 612);
  CHECK(ops::KvFormat{DType::f8_e4m3, 576, 512}.row_bytes() == 512 + 16 + 128);
}

TEST_CASE("kv rows: what comes back is within the type's rounding") {
  Fixture f;
  const auto values = some_values(576);
  for (DType type : kTypes) {
    CAPTURE(dtype_name(type));
    const auto back = f.round_trip({type, 576, 512}, values);
    std::size_t n_wrong = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const bool rest = i >= 512;
      const float block_most = static_cast<float>(1 + (i + 127) / 100);
      const float most = type == DType::f32                     ? 0.0f
                         : type == DType::f16                   ? std::abs(values[i]) * 0x1p-11f + 0x1p-25f
                         : type == DType::q8_0                  ? block_most / 253
                         : type == DType::bf16 || rest          ? std::abs(values[i]) * 0x1p-8f
                                                                : std::abs(values[i]) * 0x1p-4f + block_most * 0x1p-18f;
      n_wrong += !(std::abs(back[i] - values[i]) <= most);
    }
    CHECK(n_wrong == 0);
  }
}

TEST_CASE("kv rows: a part of a row is that part of the whole") {
  Fixture f;
  const auto values = some_values(576);
  for (DType type : kTypes) {
    CAPTURE(dtype_name(type));
    const ops::KvFormat format{type, 576, 512};
    std::vector<std::byte> row(format.row_bytes());
    ops::kv_store(f.ctx, format, row.data(), values.data());
    const auto whole = f.round_trip(format, values);
    for (const auto& [first, count] : {std::pair<std::size_t, std::size_t>{0, 32}, {96, 480}, {512, 64}, {448, 96}}) {
      std::vector<float> part(count);
      ops::kv_load(f.ctx, format, part.data(), row.data(), first, count);
      CHECK(std::equal(part.begin(), part.end(), whole.begin() + static_cast<std::ptrdiff_t>(first)));
    }
  }
}

TEST_CASE("kv rows: zeros stay zeros, tiny and huge values stay finite") {
  Fixture f;
  for (DType type : kTypes) {
    CAPTURE(dtype_name(type));
    for (float value : f.round_trip({type, 64, 32}, std::vector<float>(64, 0.0f))) CHECK(value == 0);
    for (float size : {1e-30f, 1e-6f, 60000.0f}) {
      const auto back = f.round_trip({type, 64, 32}, std::vector<float>(64, size));
      for (float value : back) CHECK((value >= 0 && value <= 1.07f * size));
      if (size > 1) for (float value : back) CHECK(value >= 0.93f * size);
    }
  }
}

TEST_CASE("kv rows: NaN and infinity show") {
  Fixture f;
  for (DType type : kTypes)
    for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
      for (std::size_t at : {3, 40}) {
        CAPTURE(dtype_name(type));
        std::vector<float> values(64, 0.5f);
        values[at] = bad;
        CHECK(!std::isfinite(f.round_trip({type, 64, 32}, values)[at]));
      }
}
