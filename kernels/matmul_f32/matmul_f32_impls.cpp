#include "kernels/matmul_f32/matmul_f32.h"

namespace ponder::kernels {

ImplList<MatmulFn> matmul_f32_impls() {
  static constexpr Impl<MatmulFn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, matmul_f32_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, matmul_f32_avx2},
#endif
#ifdef PONDER_HAVE_NEON
      {Isa::neon, matmul_f32_neon},
#endif
      {Isa::ref, matmul_f32_ref}};
  return {list, sizeof list / sizeof list[0]};
}

}  // namespace ponder::kernels
