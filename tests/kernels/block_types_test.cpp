// The GGUF block types: every implementation of each against its reference, and against matmul_f32 and vecmat_f32.
#include <algorithm>
#include <string>

#include "kernels/base/table.h"
#include "lib/base/dtype.h"
#include "lib/io/safetensors.h"
#include "tests/kernels/kernel_test.h"

using namespace ponder::kernels;
using ponder::core::DType;

namespace {

struct Type {
  DType type;
  ImplList<ToF32Fn> to_f32;
  ImplList<MatmulFn> matmul;
  ImplList<VecmatFn> vecmat;
  std::size_t scales[2];  // where a block has an f16 scale: random bytes there would be NaN now and then
};

std::vector<Type> types() {
  return {{DType::q4_0, q4_0_to_f32_impls(), matmul_q4_0_impls(), vecmat_q4_0_impls(), {0, 0}},
          {DType::q4_1, q4_1_to_f32_impls(), matmul_q4_1_impls(), vecmat_q4_1_impls(), {0, 2}},
          {DType::q5_0, q5_0_to_f32_impls(), matmul_q5_0_impls(), vecmat_q5_0_impls(), {0, 0}},
          {DType::q5_1, q5_1_to_f32_impls(), matmul_q5_1_impls(), vecmat_q5_1_impls(), {0, 2}},
          {DType::q8_0, q8_0_to_f32_impls(), matmul_q8_0_impls(), vecmat_q8_0_impls(), {0, 0}},
          {DType::q2_k, q2_k_to_f32_impls(), matmul_q2_k_impls(), vecmat_q2_k_impls(), {80, 82}},
          {DType::q3_k, q3_k_to_f32_impls(), matmul_q3_k_impls(), vecmat_q3_k_impls(), {108, 108}},
          {DType::q4_k, q4_k_to_f32_impls(), matmul_q4_k_impls(), vecmat_q4_k_impls(), {0, 2}},
          {DType::q5_k, q5_k_to_f32_impls(), matmul_q5_k_impls(), vecmat_q5_k_impls(), {0, 2}},
          {DType::q6_k, q6_k_to_f32_impls(), matmul_q6_k_impls(), vecmat_q6_k_impls(), {208, 208}},
          {DType::iq4_nl, iq4_nl_to_f32_impls(), matmul_iq4_nl_impls(), vecmat_iq4_nl_impls(), {0, 0}},
          {DType::iq4_xs, iq4_xs_to_f32_impls(), matmul_iq4_xs_impls(), vecmat_iq4_xs_impls(), {0, 0}},
          {DType::iq3_xxs, iq3_xxs_to_f32_impls(), matmul_iq3_xxs_impls(), vecmat_iq3_xxs_impls(), {0, 0}},
          {DType::iq3_s, iq3_s_to_f32_impls(), matmul_iq3_s_impls(), vecmat_iq3_s_impls(), {0, 0}},
          {DType::iq2_xxs, iq2_xxs_to_f32_impls(), matmul_iq2_xxs_impls(), vecmat_iq2_xxs_impls(), {0, 0}},
          {DType::iq2_xs, iq2_xs_to_f32_impls(), matmul_iq2_xs_impls(), vecmat_iq2_xs_impls(), {0, 0}},
          {DType::iq2_s, iq2_s_to_f32_impls(), matmul_iq2_s_impls(), vecmat_iq2_s_impls(), {0, 0}},
          {DType::iq1_s, iq1_s_to_f32_impls(), matmul_iq1_s_impls(), vecmat_iq1_s_impls(), {0, 0}},
          {DType::iq1_m, iq1_m_to_f32_impls(), matmul_iq1_m_impls(), vecmat_iq1_m_impls(), {0, 0}}};
}

template <class Fn>
Fn* reference(ImplList<Fn> list) {
  return list.first[list.count - 1].fn;
}
// matmul_f32 or vecmat_f32 for the same ISA.
template <class Fn>
Fn* of_isa(ImplList<Fn> list, Isa isa) {
  for (const Impl<Fn>& impl : list)
    if (impl.isa == isa) return impl.fn;
  return nullptr;
}

void for_each_type(const auto& body) {
  for (const Type& type : types()) {
    INFO("type " << ponder::core::dtype_name(type.type));
    body(type);
  }
}

// Random codes; scales between 2^-7 and 2^-6 in size.
void fill_block(unsigned char* block, const Type& type, Random& random) {
  for (std::size_t i = 0; i < ponder::core::block_bytes(type.type); ++i)
    block[i] = static_cast<unsigned char>(random.bits() >> 24);
  if (type.type == DType::iq1_m) {  // in nibbles, the highest last
    block[55] = static_cast<unsigned char>((block[55] & 0xf) | 0x20);
    return;
  }
  for (const std::size_t at : type.scales) {
    const auto bits = static_cast<std::uint16_t>((random.bits() >> 31) << 15 | 0x2000 | (random.bits() >> 22));
    std::memcpy(block + at, &bits, 2);
  }
}

// Rows of whole blocks, 3 bytes apart, that end where their memory ends; and the weights they stand for.
struct BlockMatrix {
  BlockMatrix(const Type& type, std::size_t n_rows, std::size_t n_cols, std::uint64_t seed)
      : row_bytes(ponder::core::row_bytes(type.type, n_cols)),
        stride(row_bytes + 3),
        bytes(n_rows == 0 ? 0 : stride * (n_rows - 1) + row_bytes, 1),
        decoded(n_rows * n_cols) {
    Random random(seed);
    for (std::size_t n = 0; n < n_rows; ++n) {
      for (std::size_t at = 0; at < row_bytes; at += ponder::core::block_bytes(type.type))
        fill_block(bytes.data() + n * stride + at, type, random);
      reference(type.to_f32)(decoded.data() + n * n_cols, bytes.data() + n * stride, n_cols);
    }
    blocks = {bytes.data(), stride, nullptr, 0, 0};
    plain = {decoded.data(), n_cols * sizeof(float), nullptr, 0, 0};
  }
  std::size_t row_bytes, stride;
  Input<unsigned char> bytes;
  Input<float> decoded;
  WeightMatrix blocks, plain;
};

struct Run {
  std::size_t n_tokens, n_rows, n_cols, skip = 0, drop = 0;
};

void check_matmul(const Type& type, const Run& run) {
  CAPTURE(run.n_tokens);
  CAPTURE(run.n_rows);
  CAPTURE(run.n_cols);
  const BlockMatrix w(type, run.n_rows, run.n_cols, run.n_tokens * 1009 + run.n_rows);
  const std::size_t x_stride = run.n_cols + 5, y_stride = run.n_rows + 3;
  const Input<float> x(run.n_tokens == 0 ? 0 : (run.n_tokens - 1) * x_stride + run.n_cols);
  Random random(run.n_cols);
  fill(x, random);
  const std::size_t end = run.n_rows - run.drop;
  for (const Impl<MatmulFn>& impl : type.matmul) {
    if (!isa_supported(impl.isa)) continue;
    CAPTURE(isa_name(impl.isa));
    Output<float> y(run.n_tokens * y_stride);
    impl.fn(y.data(), y_stride, x.data(), x_stride, &w.blocks, run.n_tokens, run.skip, end, run.n_cols);
    std::vector<float> same(run.n_tokens * y_stride);
    of_isa(matmul_f32_impls(), impl.isa)(same.data(), y_stride, x.data(), x_stride, &w.plain, run.n_tokens, run.skip,
                                         end, run.n_cols);
    std::size_t n_wrong = 0, n_outside = 0, n_far = 0;
    for (std::size_t t = 0; t < run.n_tokens; ++t)
      for (std::size_t n = 0; n < y_stride; ++n) {
        if (n < run.skip || n >= end) {
          n_outside += !y.untouched(t * y_stride + n);
          continue;
        }
        n_wrong += !same_value(y[t * y_stride + n], same[t * y_stride + n]);
        double sum = 0, magnitude = 0;
        for (std::size_t k = 0; k < run.n_cols; ++k) {
          const double product = double{x[t * x_stride + k]} * double{w.decoded[n * run.n_cols + k]};
          sum += product;
          magnitude += std::abs(product);
        }
        n_far += !near(y[t * y_stride + n], sum, 1e-5 * magnitude);
      }
    CHECK(n_wrong == 0);
    CHECK(n_far == 0);
    CHECK(n_outside == 0);
    CHECK(y.guards_intact());
  }
}

void check_vecmat(const Type& type, const Run& run) {
  CAPTURE(run.n_tokens);
  CAPTURE(run.n_rows);
  CAPTURE(run.n_cols);
  CAPTURE(run.skip);
  const BlockMatrix w(type, run.n_rows, run.n_cols, run.n_tokens * 1009 + run.n_rows);
  const std::size_t x_stride = run.n_rows + 5, y_stride = run.n_cols + 3, end = run.n_cols - run.drop;
  const Input<float> x(run.n_tokens == 0 ? 0 : (run.n_tokens - 1) * x_stride + run.n_rows);
  Random random(run.n_cols);
  fill(x, random);
  for (const Impl<VecmatFn>& impl : type.vecmat)
    for (int accumulate : {0, 1}) {
      if (!isa_supported(impl.isa)) continue;
      CAPTURE(isa_name(impl.isa));
      CAPTURE(accumulate);
      Output<float> y(run.n_tokens * y_stride);
      std::vector<float> same(run.n_tokens * y_stride, 0.25f);
      if (accumulate)
        for (std::size_t t = 0; t < run.n_tokens; ++t)
          for (std::size_t k = run.skip; k < end; ++k) y[t * y_stride + k] = 0.25f;
      impl.fn(y.data(), y_stride, x.data(), x_stride, &w.blocks, run.n_tokens, run.n_rows, run.skip, end, accumulate);
      of_isa(vecmat_f32_impls(), impl.isa)(same.data(), y_stride, x.data(), x_stride, &w.plain, run.n_tokens,
                                           run.n_rows, run.skip, end, accumulate);
      std::size_t n_wrong = 0, n_outside = 0;
      for (std::size_t t = 0; t < run.n_tokens; ++t)
        for (std::size_t k = 0; k < y_stride; ++k) {
          const std::size_t i = t * y_stride + k;
          if (k < run.skip || k >= end)
            n_outside += !y.untouched(i);
          else
            n_wrong += !same_value(y[i], same[i]);
        }
      CHECK(n_wrong == 0);
      CHECK(n_outside == 0);
      CHECK(y.guards_intact());
    }
}

}  // namespace

TEST_CASE("block types: blocks quantised by ggml have the values that ggml gives them") {
  const auto folder = ponder::core::folder_source(PONDER_TEST_DATA "/gguf");
  auto file = folder->open("quant_blocks.safetensors");
  REQUIRE(file.ok());
  const auto golden = ponder::core::Safetensors::parse(std::move(file).value());
  REQUIRE(golden.ok());
  for_each_type([&](const Type& type) {
    const std::string name(ponder::core::dtype_name(type.type));
    const auto *raw = golden->find(name + ".raw"), *values = golden->find(name + ".dequant");
    REQUIRE((raw && values));
    const std::size_t n = values->bytes.size() / sizeof(float);
    REQUIRE(raw->bytes.size() == ponder::core::row_bytes(type.type, n));
    std::vector<float> want(n);
    std::memcpy(want.data(), values->bytes.data(), values->bytes.size());
    for_each_supported(type.to_f32, [&](ToF32Fn* fn) {
      std::vector<float> got(n, kNan);
      fn(got.data(), raw->bytes.data(), n);
      std::size_t n_wrong = 0;
      for (std::size_t i = 0; i < n; ++i) n_wrong += !(got[i] == want[i]);
      CHECK(n_wrong == 0);
    });
  });
}

TEST_CASE("block types: every implementation gives the bits of the reference, for any code and scale") {
  for_each_type([](const Type& type) {
    const std::size_t size = ponder::core::block_bytes(type.type), per_block = ponder::core::block_elements(type.type);
    for (std::size_t n_blocks : {0, 1, 2, 3, 7, 8, 9, 200}) {
      CAPTURE(n_blocks);
      Random random(n_blocks + 1);
      const Input<unsigned char> blocks(n_blocks * size);
      for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i] = static_cast<unsigned char>(random.bits() >> 24);
      std::vector<float> want(n_blocks * per_block);
      reference(type.to_f32)(want.data(), blocks.data(), want.size());
      for_each_supported(type.to_f32, [&](ToF32Fn* fn) {
        Output<float> y(want.size());
        fn(y.data(), blocks.data(), want.size());
        std::size_t n_wrong = 0;
        for (std::size_t i = 0; i < want.size(); ++i) n_wrong += !same_value(y[i], want[i]);
        CHECK(n_wrong == 0);
        CHECK(y.guards_intact());
      });
    }
  });
}

TEST_CASE("block types: matmul has the bits of matmul_f32 on the decoded weights, nothing else is written") {
  for_each_type([](const Type& type) {
    const std::size_t block = ponder::core::block_elements(type.type);
    for (std::size_t n_tokens : {0, 1, 2, 3, 4, 5, 7, 13, 49}) check_matmul(type, {n_tokens, 13, 2 * block});
    for (std::size_t n_rows : {0, 1, 7, 8, 9, 12, 25})
      for (std::size_t n_tokens : {1, 6}) check_matmul(type, {n_tokens, n_rows, block});
    for (std::size_t n_blocks : {0, 1, 3, 7, 8, 9, 17})
      for (std::size_t n_tokens : {1, 3, 8}) check_matmul(type, {n_tokens, 5, n_blocks * block});
    for (std::size_t skip : {1, 5, 8})
      for (std::size_t n_tokens : {1, 2, 9}) check_matmul(type, {n_tokens, 21, block, skip, 3});
    check_matmul(type, {5, 64, 1536});  // rows of DeepSeek-R1-Distill-Qwen-1.5B
  });
}

TEST_CASE("block types: vecmat has the bits of vecmat_f32 on the decoded weights, nothing else is written") {
  for_each_type([](const Type& type) {
    const std::size_t block = ponder::core::block_elements(type.type);
    for (std::size_t n_tokens : {0, 1, 2, 4, 5, 9}) check_vecmat(type, {n_tokens, 9, 2 * block});
    for (std::size_t n_rows : {0, 1, 11, 12, 13, 30}) check_vecmat(type, {3, n_rows, block});
    for (std::size_t n_blocks : {1, 3, 8, 9, 17}) check_vecmat(type, {2, 5, n_blocks * block});
    for (std::size_t skip : {1, 8, 31, 32, 40})
      for (std::size_t drop : {0, 1, 9, 33}) check_vecmat(type, {5, 13, 3 * block, skip, drop});
  });
}

TEST_CASE("block types: a token gets the same bits alone and in any batch") {
  for_each_type([](const Type& type) {
    constexpr std::size_t kTokens = 53, kRows = 19, kIn = 512;
    const BlockMatrix w(type, kRows, kIn, 5);
    const Input<float> x(kTokens * kIn);
    Random random(6);
    fill(x, random);
    for_each_supported(type.matmul, [&](MatmulFn* fn) {
      std::vector<float> whole(kTokens * kRows), part(kTokens * kRows);
      fn(whole.data(), kRows, x.data(), kIn, &w.blocks, kTokens, 0, kRows, kIn);
      for (std::size_t n_tokens : {1, 2, 3, 4, 7, 48}) {
        CAPTURE(n_tokens);
        for (std::size_t t = 0; t < kTokens; t += n_tokens)
          fn(part.data() + t * kRows, kRows, x.data() + t * kIn, kIn, &w.blocks, std::min(n_tokens, kTokens - t), 0,
             kRows, kIn);
        CHECK(same_bits(part.data(), whole.data(), whole.size()));
      }
    });
  });
}
