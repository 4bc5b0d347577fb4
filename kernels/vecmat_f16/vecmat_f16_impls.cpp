#include "kernels/vecmat_f16/vecmat_f16.h"

namespace ponder::kernels {

ImplList<VecmatFn> vecmat_f16_impls() {
  static constexpr Impl<VecmatFn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, vecmat_f16_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, vecmat_f16_avx2},
#endif
#ifdef PONDER_HAVE_NEON
      {Isa::neon, vecmat_f16_neon},
#endif
      {Isa::ref, vecmat_f16_ref}};
  return {list, sizeof list / sizeof list[0]};
}

}  // namespace ponder::kernels
