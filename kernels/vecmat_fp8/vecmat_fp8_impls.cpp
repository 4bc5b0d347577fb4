#include "kernels/vecmat_fp8/vecmat_fp8.h"

namespace ponder::kernels {

ImplList<VecmatFn> vecmat_fp8_impls() {
  static constexpr Impl<VecmatFn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, vecmat_fp8_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, vecmat_fp8_avx2},
#endif
#ifdef PONDER_HAVE_NEON
      {Isa::neon, vecmat_fp8_neon},
#endif
      {Isa::ref, vecmat_fp8_ref}};
  return {list, sizeof list / sizeof list[0]};
}

}  // namespace ponder::kernels
