// The self-test: passes here, covers the lists, and sees a kernel that is wrong.
#include "lib/ops/kernel_checker.h"

#include <doctest/doctest.h>

#include <limits>
#include <set>

using namespace ponder::core;
using namespace ponder::core::ops;
using namespace ponder::kernels;

namespace {

// Kernels with one wrong result each, as those of a broken CPU would be.
void wrong_matmul(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                  std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_f32_ref(y, y_stride, x, x_stride, w, n_tokens, row_begin, row_end, n_in);
  if (n_tokens == 35) y[34 * y_stride + row_end - 1] *= 1.001f;
}
void nan_matmul(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                std::size_t n_tokens, std::size_t row_begin, std::size_t row_end, std::size_t n_in) {
  matmul_f32_ref(y, y_stride, x, x_stride, w, n_tokens, row_begin, row_end, n_in);
  y[row_begin] = std::numeric_limits<float>::quiet_NaN();
}
void lazy_vecmat(float* y, std::size_t y_stride, const float* x, std::size_t x_stride, const WeightMatrix* w,
                 std::size_t n_tokens, std::size_t n_rows, std::size_t col_begin, std::size_t col_end, int accumulate) {
  vecmat_f32_ref(y, y_stride, x, x_stride, w, n_tokens, n_rows, col_begin, col_end - 1, accumulate);  // a column is left out
}
void wrong_to_f32(float* y, const void* x, std::size_t n) {
  bf16_to_f32_ref(y, x, n);
  y[n - 1] = 0;
}
void wrong_from_f32(void* y, const float* x, std::size_t n) {
  f32_to_bf16_ref(y, x, n);
  static_cast<unsigned char*>(y)[10] ^= 1;
}
void wrong_rope(float* x, std::size_t head_stride, const float* cos, const float* sin, std::size_t n_heads, std::size_t n_dims) {
  rope_half_ref(x, head_stride, cos, sin, n_heads, n_dims);
  x[head_stride] += 1e-4f;
}
void wrong_attend(const AttendBlock& block) {
  attend_f32_ref(block);
  block.out[3] *= 1.02f;
}

template <class Fn>
ImplList<Fn> list(const Impl<Fn> (&impls)[2]) {
  return {impls, 2};
}

}  // namespace

TEST_CASE("every kernel of this CPU passes the self-test, at every level") {
  std::size_t n_before = 0;
  for (const Isa cap : {Isa::ref, Isa::avx2, Isa::avx512, Isa::avx512bf16, highest_isa()}) {
    KernelChecker checker(cap);
    checker.all();
    CHECK(checker.checks().size() >= n_before);
    n_before = checker.checks().size();
    for (const KernelCheck& check : checker.checks()) {
      CHECK_MESSAGE(check.ok(), check.kernel << " for " << isa_name(check.isa) << ": " << check.error << " > " << check.bound);
      CHECK((check.isa <= cap || check.isa == Isa::neon));
    }
  }
  CHECK(n_before > 100);
}

TEST_CASE("the self-test sees one wrong value among many") {
  KernelChecker checker(Isa::ref);
  const Impl<MatmulFn> matmuls[] = {{Isa::ref, wrong_matmul}, {Isa::ref, matmul_f32_ref}};
  const Impl<MatmulFn> nans[] = {{Isa::ref, nan_matmul}, {Isa::ref, matmul_f32_ref}};
  const Impl<VecmatFn> vecmats[] = {{Isa::ref, lazy_vecmat}, {Isa::ref, vecmat_f32_ref}};
  const Impl<ToF32Fn> to[] = {{Isa::ref, wrong_to_f32}, {Isa::ref, bf16_to_f32_ref}};
  const Impl<FromF32Fn> from[] = {{Isa::ref, wrong_from_f32}, {Isa::ref, f32_to_bf16_ref}};
  const Impl<RopeFn> ropes[] = {{Isa::ref, wrong_rope}, {Isa::ref, rope_half_ref}};
  const Impl<AttendFn> attends[] = {{Isa::ref, wrong_attend}, {Isa::ref, attend_f32_ref}};
  checker.matmul("matmul", list(matmuls), DType::f32, 1e-5);
  checker.matmul("nan", list(nans), DType::f32, 1e-5);
  checker.vecmat("vecmat", list(vecmats), DType::f32);
  checker.to_f32("to", list(to), 2);
  checker.from_f32("from", list(from));
  checker.rope("rope", list(ropes));
  checker.attend("attend", list(attends), attend_f32_ref, DType::f32);
  BlockType type = block_types().front();
  const Impl<MatmulFn> blocks[] = {{Isa::ref, [](float* y, std::size_t y_stride, const float*, std::size_t, const WeightMatrix*,
                                                 std::size_t n_tokens, std::size_t begin, std::size_t end, std::size_t) {
                                      for (std::size_t t = 0; t < n_tokens; ++t)
                                        for (std::size_t n = begin; n < end; ++n) y[t * y_stride + n] = 0;
                                    }},
                                   {Isa::ref, matmul_q4_0_ref}};
  type.matmul = list(blocks);
  checker.block_type(type);
  std::set<std::string> good, bad;
  for (const KernelCheck& check : checker.checks()) (check.ok() ? good : bad).insert(check.kernel);
  CHECK(bad == std::set<std::string>{"matmul", "nan", "vecmat", "to", "from", "rope", "attend", "matmul_q4_0"});
  CHECK(good.count("matmul") == 1);  // the reference beside the wrong one
  CHECK(good.count("q4_0_to_f32") == 1);
}
