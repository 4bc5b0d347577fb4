// The GGUF block types: every implementation of each against its reference, and against matmul_f32 and vecmat_f32.
#include <algorithm>
#include <string>

#include "lib/io/safetensors.h"
#include "tests/kernels/block_types.h"

using namespace ponder::kernels;
using ponder::core::DType;

namespace {

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
