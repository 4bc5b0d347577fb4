#include "kernels/convert/convert.h"

#include "lib/base/dtype.h"
#include "tests/kernels/kernel_test.h"

using namespace ponder;
using namespace ponder::kernels;

namespace {

// All codes of a type at once and in tails, at odd addresses, bit for bit as the reference; values as lib/base/dtype.h.
template <class Code>
void check_to_f32(ImplList<ToF32Fn> list, ToF32Fn* ref, float (*value)(Code)) {
  constexpr std::size_t kCodes = std::size_t{1} << (8 * sizeof(Code));
  const Input<unsigned char> in(kCodes * sizeof(Code), 1);
  for (std::size_t i = 0; i < kCodes; ++i) {
    const auto code = static_cast<Code>(i);
    std::memcpy(in.data() + i * sizeof(Code), &code, sizeof code);
  }
  std::vector<float> want(kCodes);
  ref(want.data(), in.data(), kCodes);
  std::size_t n_wrong = 0;
  for (std::size_t i = 0; i < kCodes; ++i) n_wrong += !same_value(want[i], value(static_cast<Code>(i)));
  CHECK(n_wrong == 0);
  for_each_supported(list, [&](ToF32Fn* fn) {
    Output<float> all(kCodes);
    fn(all.data(), in.data(), kCodes);
    CHECK(same_bits(all.data(), want.data(), kCodes));
    CHECK(all.guards_intact());
    for (std::size_t n : kOddSizes)
      for (std::size_t first = 0; first + n <= kCodes; first += kCodes / 16 - 3) {
        Output<float> y(n);
        fn(y.data(), in.data() + first * sizeof(Code), n);
        CHECK(same_bits(y.data(), want.data() + first, n));
        CHECK(y.guards_intact());
      }
  });
}

std::vector<float> difficult_values() {
  std::vector<float> values;
  // Around every 16-bit code of both types: exact, ties and their neighbours.
  for (std::uint32_t high = 0; high < 0x10000; ++high)
    for (std::uint32_t low : {0x0000u, 0x0001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu})
      values.push_back(std::bit_cast<float>((high << 16) | low));
  for (std::uint32_t code = 0; code < 0x7c00; ++code)  // halfway between two f16 values
    values.push_back((core::f16_to_f32(static_cast<std::uint16_t>(code)) + core::f16_to_f32(static_cast<std::uint16_t>(code + 1 < 0x7c00 ? code + 1 : code))) / 2);
  for (float v : {65503.9f, 65504.0f, 65519.99f, 65520.0f, 65536.0f, 0x1p-25f, 0x1.000002p-25f, 0x1p-24f}) values.push_back(v);
  Random random(1);
  for (int i = 0; i < 100000; ++i) values.push_back(std::bit_cast<float>(random.bits()));
  return values;
}

void check_from_f32(ImplList<FromF32Fn> list, FromF32Fn* ref, std::uint16_t (*code)(float)) {
  const std::vector<float> values = difficult_values();
  std::vector<std::uint16_t> want(values.size());
  ref(want.data(), values.data(), values.size());
  std::size_t n_wrong = 0;
  for (std::size_t i = 0; i < values.size(); ++i) n_wrong += want[i] != code(values[i]);
  CHECK(n_wrong == 0);
  for_each_supported(list, [&](FromF32Fn* fn) {
    Output<std::uint16_t> all(values.size());
    fn(all.data(), values.data(), values.size());
    CHECK(std::memcmp(all.data(), want.data(), 2 * want.size()) == 0);
    CHECK(all.guards_intact());
    for (std::size_t n : kOddSizes) {
      const Input<float> x(n);
      for (std::size_t i = 0; i < n; ++i) x[i] = values[400000 + i];
      Output<std::uint16_t> y(n);
      fn(y.data(), x.data(), n);
      CHECK((n == 0 || std::memcmp(y.data(), want.data() + 400000, 2 * n) == 0));
      CHECK(y.guards_intact());
    }
  });
}

}  // namespace

TEST_CASE("convert: every bf16 code becomes its f32 value") {
  check_to_f32<std::uint16_t>(bf16_to_f32_impls(), bf16_to_f32_ref, core::bf16_to_f32);
}
TEST_CASE("convert: every f16 code becomes its f32 value") {
  check_to_f32<std::uint16_t>(f16_to_f32_impls(), f16_to_f32_ref, core::f16_to_f32);
}
TEST_CASE("convert: every fp8 code becomes its f32 value") {
  check_to_f32<std::uint8_t>(fp8_to_f32_impls(), fp8_to_f32_ref, core::f8_e4m3_to_f32);
}
TEST_CASE("convert: f32 to bf16 rounds to even, NaN and infinity stay") {
  check_from_f32(f32_to_bf16_impls(), f32_to_bf16_ref, core::f32_to_bf16);
}
TEST_CASE("convert: f32 to f16 rounds to even, overflows to infinity, keeps denormals") {
  check_from_f32(f32_to_f16_impls(), f32_to_f16_ref, core::f32_to_f16);
}

TEST_CASE("convert: add and scale_add give the bits of the reference") {
  for (std::size_t n : {0, 1, 7, 8, 9, 15, 16, 17, 33, 2048}) {
    CAPTURE(n);
    Random random(n + 1);
    const Input<float> x(n);
    fill(x, random);
    std::vector<float> start(n), sum(n), scaled(n);
    for (std::size_t i = 0; i < n; ++i) start[i] = sum[i] = scaled[i] = random.uniform(-1, 1);
    add_ref(sum.data(), x.data(), n);
    scale_add_ref(scaled.data(), x.data(), 0.3f, n);
    for_each_supported(add_impls(), [&](AddFn* fn) {
      Output<float> y(n);
      for (std::size_t i = 0; i < n; ++i) y[i] = start[i];
      fn(y.data(), x.data(), n);
      CHECK(same_bits(y.data(), sum.data(), n));
      CHECK(y.guards_intact());
    });
    for_each_supported(scale_add_impls(), [&](ScaleAddFn* fn) {
      Output<float> y(n);
      for (std::size_t i = 0; i < n; ++i) y[i] = start[i];
      fn(y.data(), x.data(), 0.3f, n);
      CHECK(same_bits(y.data(), scaled.data(), n));
      CHECK(y.guards_intact());
    });
  }
}
