// The quantisers of the GGUF block types: decoded by the reference decoder, against what ggml's own make of the same data.
#include <algorithm>
#include <string>
#include <vector>

#include "kernels/base/table.h"
#include "lib/base/dtype.h"
#include "tests/kernels/kernel_test.h"

using namespace ponder::kernels;
using ponder::core::DType;

namespace {

struct Type {
  DType type;
  QuantizeFn* const Quantizers::*quantize;
  ToF32Fn* to_f32;
  // Of weights() by ggml_quantize_chunk (ggml of 2026-08): root of the summed squares over that of zeros, times 1e6;
  // without importance, and with.
  double ggml_error, ggml_weighted_error;
};

const Type kTypes[] = {
    {DType::q4_0, &Quantizers::q4_0, q4_0_to_f32_ref, 137220.8, 134917.2},
    {DType::q4_1, &Quantizers::q4_1, q4_1_to_f32_ref, 95474.5, 81196.4},
    {DType::q5_0, &Quantizers::q5_0, q5_0_to_f32_ref, 68540.6, 67596.7},
    {DType::q5_1, &Quantizers::q5_1, q5_1_to_f32_ref, 45068.4, 37102.2},
    {DType::q8_0, &Quantizers::q8_0, q8_0_to_f32_ref, 8638.2, 9087.5},
    {DType::q2_k, &Quantizers::q2_k, q2_k_to_f32_ref, 318229.8, 260415.5},
    {DType::q3_k, &Quantizers::q3_k, q3_k_to_f32_ref, 188054.4, 180754.1},
    {DType::q4_k, &Quantizers::q4_k, q4_k_to_f32_ref, 88967.2, 83957.7},
    {DType::q5_k, &Quantizers::q5_k, q5_k_to_f32_ref, 43639.7, 41770.0},
    {DType::q6_k, &Quantizers::q6_k, q6_k_to_f32_ref, 24459.8, 25016.1},
    {DType::iq4_nl, &Quantizers::iq4_nl, iq4_nl_to_f32_ref, 104968.6, 98223.0},
    {DType::iq4_xs, &Quantizers::iq4_xs, iq4_xs_to_f32_ref, 106911.3, 102158.7},
};

constexpr std::size_t kRows = 16, kCols = 512;

// Bell-shaped, every 97th eight times as large; importances between 1/16 and 16.
std::vector<float> weights() {
  Random random(5);
  std::vector<float> x(kRows * kCols);
  for (std::size_t i = 0; i < x.size(); ++i) {
    float sum = 0;
    for (int k = 0; k < 4; ++k) sum += random.uniform(-0.02f, 0.02f);
    x[i] = i % 97 == 0 ? 8 * sum : sum;
  }
  return x;
}
std::vector<float> importances() {
  Random random(6);
  std::vector<float> w(kCols);
  for (float& v : w) v = static_cast<float>(1u << random.bits() % 9) / 16;
  return w;
}

std::vector<unsigned char> quantized(const Type& type, const Quantizers& by, const float* x, std::size_t n,
                                     const float* importance) {
  std::vector<unsigned char> blocks(ponder::core::row_bytes(type.type, n));
  (by.*type.quantize)(blocks.data(), x, n, importance);
  return blocks;
}

double relative_error(const Type& type, const float* importance) {
  const std::vector<float> x = weights();
  std::vector<float> y(kCols);
  double error = 0, zeros = 0;
  for (std::size_t row = 0; row < kRows; ++row) {
    const float* from = x.data() + row * kCols;
    type.to_f32(y.data(), quantized(type, quantizers_ref, from, kCols, importance).data(), kCols);
    for (std::size_t i = 0; i < kCols; ++i) {
      const double w = importance ? double{importance[i]} : 1.0, off = double{y[i]} - double{from[i]};
      error += w * off * off, zeros += w * double{from[i]} * double{from[i]};
    }
  }
  return 1e6 * std::sqrt(error / zeros);
}

template <class Body>
void for_each_type(const Body& body) {
  for (const Type& type : kTypes) {
    INFO("type " << ponder::core::dtype_name(type.type));
    body(type);
  }
}

}  // namespace

TEST_CASE("quantize: the error is below that of ggml's quantisers on the same weights") {
  for_each_type([](const Type& type) { CHECK(relative_error(type, nullptr) < type.ggml_error); });
}

TEST_CASE("quantize: with importances the weighted error is below ggml's with them") {
  const std::vector<float> importance = importances();
  for_each_type([&](const Type& type) { CHECK(relative_error(type, importance.data()) < type.ggml_weighted_error); });
}

TEST_CASE("quantize: every implementation has the reference's bits, and writes its blocks only") {
  const std::vector<float> x = weights(), importance = importances();
  Input<float> odd(kCols), odd_importance(kCols);
  std::copy_n(x.begin(), kCols, odd.data());
  std::copy_n(importance.begin(), kCols, odd_importance.data());
  for_each_type([&](const Type& type) {
    for (const float* w : {static_cast<const float*>(nullptr), static_cast<const float*>(odd_importance.data())}) {
      const std::vector<unsigned char> want = quantized(type, quantizers_ref, x.data(), kCols, w);
      for_each_supported(quantize_impls(), [&](const Quantizers* by) {
        Output<unsigned char> got(want.size());
        (by->*type.quantize)(got.data(), odd.data(), kCols, w);
        CHECK(std::equal(want.begin(), want.end(), got.data()));
        CHECK(got.guards_intact());
      });
    }
  });
}

TEST_CASE("quantize: zeros stay zeros, and weights too small for an f16 scale become them") {
  for_each_type([](const Type& type) {
    for (const float value : {0.0f, 1e-30f, -1e-12f, kDenormal}) {
      const std::vector<float> x(256, value);
      std::vector<float> y(256, 1);
      type.to_f32(y.data(), quantized(type, quantizers_ref, x.data(), 256, nullptr).data(), 256);
      CHECK(std::all_of(y.begin(), y.end(), [](float v) { return v == 0; }));
    }
  });
}

TEST_CASE("quantize: the largest weights give finite blocks near them") {
  for_each_type([](const Type& type) {
    for (const float sign : {1.0f, -1.0f}) {
      std::vector<float> x(256), y(256);
      for (std::size_t i = 0; i < 256; ++i) x[i] = i % 3 == 0 ? 65504 * sign : i % 3 == 1 ? -30000 * sign : 0;
      type.to_f32(y.data(), quantized(type, quantizers_ref, x.data(), 256, nullptr).data(), 256);
      for (std::size_t i = 0; i < 256; ++i) CHECK(std::abs(y[i] - x[i]) < 16000);
    }
  });
}

TEST_CASE("quantize: weights that are whole steps from zero to the last code come back") {
  const std::pair<DType, unsigned> lasts[] = {{DType::q4_0, 7},  {DType::q4_1, 15}, {DType::q5_0, 15}, {DType::q5_1, 31},
                                              {DType::q8_0, 127}, {DType::q2_k, 3}, {DType::q3_k, 3},  {DType::q4_k, 15},
                                              {DType::q5_k, 31}, {DType::q6_k, 31}};
  for_each_type([&](const Type& type) {
    for (const auto& [named, last] : lasts) {
      if (named != type.type) continue;
      Random random(9);
      std::vector<float> x(256), y(256);
      for (std::size_t i = 0; i < 256; ++i)
        x[i] = static_cast<float>(i % 16 == 0 ? last : i % 16 == 1 ? 0 : random.bits() % (last + 1)) / 64;
      type.to_f32(y.data(), quantized(type, quantizers_ref, x.data(), 256, nullptr).data(), 256);
      for (std::size_t i = 0; i < 256; ++i) CHECK(std::abs(y[i] - x[i]) <= 1e-3f * static_cast<float>(last) / 64);
    }
  });
}

TEST_CASE("quantize: a block whose importances are all zero is quantised as without any") {
  const std::vector<float> x = weights(), none(256, 0.0f);
  for_each_type([&](const Type& type) {
    CHECK(quantized(type, quantizers_ref, x.data(), 256, none.data()) ==
          quantized(type, quantizers_ref, x.data(), 256, nullptr));
  });
}

TEST_CASE("quantize: only the ratios of importances count") {
  const std::vector<float> x = weights(), importance = importances();
  std::vector<float> tiny(importance);
  for (float& v : tiny) v *= 0x1p-80f;
  for_each_type([&](const Type& type) {
    CHECK(quantized(type, quantizers_ref, x.data(), 256, tiny.data()) ==
          quantized(type, quantizers_ref, x.data(), 256, importance.data()));
  });
}

TEST_CASE("quantize: weights that are not finite do no harm beyond their block") {
  std::vector<float> x = weights();
  for_each_type([&](const Type& type) {
    const std::vector<unsigned char> clean = quantized(type, quantizers_ref, x.data(), kCols, nullptr);
    const std::size_t block = ponder::core::block_bytes(type.type);
    for (const float bad : {kNan, kInf, -kInf}) {
      std::vector<float> dirty(x.begin(), x.begin() + kCols);
      dirty[3] = bad;
      const std::vector<unsigned char> got = quantized(type, quantizers_ref, dirty.data(), kCols, nullptr);
      CHECK(std::equal(got.begin() + static_cast<std::ptrdiff_t>(block), got.end(),
                       clean.begin() + static_cast<std::ptrdiff_t>(block)));
    }
  });
}
