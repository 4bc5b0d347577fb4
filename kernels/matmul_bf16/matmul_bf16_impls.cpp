#include "kernels/matmul_bf16/matmul_bf16.h"

namespace ponder::kernels {

ImplList<MatmulFn> matmul_bf16_impls() {
  static constexpr Impl<MatmulFn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, matmul_bf16_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, matmul_bf16_avx2},
#endif
#ifdef PONDER_HAVE_NEON
      {Isa::neon, matmul_bf16_neon},
#endif
      {Isa::ref, matmul_bf16_ref}};
  return {list, sizeof list / sizeof list[0]};
}

ImplList<MatmulFn> matmul_bf16_fast_impls() {
#ifdef PONDER_HAVE_AVX512
  static constexpr Impl<MatmulFn> list[] = {
#ifdef PONDER_HAVE_AVX512BF16
      {Isa::avx512bf16, matmul_bf16_fast_avx512bf16},
#endif
      {Isa::avx512, matmul_bf16_fast_avx512}};
  return {list, sizeof list / sizeof list[0]};
#else
  return {nullptr, 0};
#endif
}

}  // namespace ponder::kernels
