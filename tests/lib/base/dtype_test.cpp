#include "lib/base/dtype.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace ponder::core;

TEST_CASE("dtype: every bf16 code survives the way to f32 and back") {
  int wrong = 0;
  for (std::uint32_t code = 0; code < 0x10000; ++code) {
    const float value = bf16_to_f32(static_cast<std::uint16_t>(code));
    const std::uint16_t back = f32_to_bf16(value);
    wrong += std::isnan(value) ? !std::isnan(bf16_to_f32(back)) : back != code;
  }
  CHECK(wrong == 0);
}

TEST_CASE("dtype: every f16 code survives the way to f32 and back") {
  int wrong = 0;
  for (std::uint32_t code = 0; code < 0x10000; ++code) {
    const float value = f16_to_f32(static_cast<std::uint16_t>(code));
    const std::uint16_t back = f32_to_f16(value);
    wrong += std::isnan(value) ? !std::isnan(f16_to_f32(back)) : back != code;
  }
  CHECK(wrong == 0);
}

TEST_CASE("dtype: every f8_e4m3 code survives the way to f32 and back") {
  int wrong = 0;
  for (std::uint32_t code = 0; code < 0x100; ++code) {
    const float value = f8_e4m3_to_f32(static_cast<std::uint8_t>(code));
    const std::uint8_t back = f32_to_f8_e4m3(value);
    wrong += std::isnan(value) ? !std::isnan(f8_e4m3_to_f32(back)) : back != code;
  }
  CHECK(wrong == 0);
}

TEST_CASE("dtype: a value halfway between two f8_e4m3 codes goes to the even one") {
  int wrong = 0;
  for (std::uint32_t code = 0; code < 0x7e; ++code) {
    const float low = f8_e4m3_to_f32(static_cast<std::uint8_t>(code));
    const float high = f8_e4m3_to_f32(static_cast<std::uint8_t>(code + 1));
    const float middle = (low + high) / 2;
    wrong += f32_to_f8_e4m3(middle) != (code % 2 ? code + 1 : code);
    wrong += f32_to_f8_e4m3(std::nextafter(middle, 0.0f)) != code;
    wrong += f32_to_f8_e4m3(std::nextafter(middle, 1000.0f)) != code + 1;
  }
  CHECK(wrong == 0);
}

TEST_CASE("dtype: a value halfway between two f16 codes goes to the even one") {
  int wrong = 0;
  for (std::uint32_t code = 0; code < 0x7bff; ++code) {
    const float low = f16_to_f32(static_cast<std::uint16_t>(code));
    const float high = f16_to_f32(static_cast<std::uint16_t>(code + 1));
    const float middle = low + (high - low) / 2;
    wrong += f32_to_f16(middle) != (code % 2 ? code + 1 : code);
    wrong += f32_to_f16(std::nextafter(middle, 0.0f)) != code;
    wrong += f32_to_f16(std::nextafter(middle, 1e6f)) != code + 1;
  }
  CHECK(wrong == 0);
}

TEST_CASE("dtype: too large values saturate in f8_e4m3 and become infinity in f16") {
  CHECK(f8_e4m3_to_f32(f32_to_f8_e4m3(1e9f)) == 448.0f);
  CHECK(f8_e4m3_to_f32(f32_to_f8_e4m3(-std::numeric_limits<float>::infinity())) == -448.0f);
  CHECK(f16_to_f32(f32_to_f16(65504.0f)) == 65504.0f);
  CHECK(std::isinf(f16_to_f32(f32_to_f16(65520.0f))));
}

TEST_CASE("dtype: a NaN stays a NaN even when its payload lies in the bits cut off") {
  const float nan = std::bit_cast<float>(0x7f800001u);
  CHECK(std::isnan(bf16_to_f32(f32_to_bf16(nan))));
  CHECK(std::isnan(f16_to_f32(f32_to_f16(nan))));
  CHECK(std::isnan(f8_e4m3_to_f32(f32_to_f8_e4m3(nan))));
}

TEST_CASE("dtype: a row of a block type is whole blocks, of other types elements") {
  CHECK(row_bytes(DType::bf16, 7) == 14);
  CHECK(row_bytes(DType::q8_0, 64) == 2 * (2 + 32));
  CHECK(row_bytes(DType::q4_k, 512) == 2 * (2 + 2 + 12 + 128));
  CHECK(row_bytes(DType::iq1_m, 256) == 32 + 16 + 8);
  CHECK(element_bytes(DType::f16) == 2);
  CHECK(element_bytes(DType::iq4_nl) == 0);
}

TEST_CASE("dtype: every type has a name of its own and a size") {
  for (std::size_t a = 0; a < kDTypeCount; ++a) {
    CHECK(block_bytes(static_cast<DType>(a)) > 0);
    CHECK(dtype_name(static_cast<DType>(a)) != "?");
    for (std::size_t b = 0; b < a; ++b) CHECK(dtype_name(static_cast<DType>(a)) != dtype_name(static_cast<DType>(b)));
  }
}
