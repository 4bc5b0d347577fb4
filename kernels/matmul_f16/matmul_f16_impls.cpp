#include "kernels/matmul_f16/matmul_f16.h"

namespace ponder::kernels {

ImplList<MatmulFn> matmul_f16_impls() {
  static constexpr Impl<MatmulFn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, matmul_f16_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, matmul_f16_avx2},
#endif
#ifdef PONDER_HAVE_NEON
      {Isa::neon, matmul_f16_neon},
#endif
      {Isa::ref, matmul_f16_ref}};
  return {list, sizeof list / sizeof list[0]};
}

}  // namespace ponder::kernels
