#include "kernels/vecmat_bf16/vecmat_bf16.h"

namespace ponder::kernels {

ImplList<VecmatFn> vecmat_bf16_impls() {
  static constexpr Impl<VecmatFn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, vecmat_bf16_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, vecmat_bf16_avx2},
#endif
#ifdef PONDER_HAVE_NEON
      {Isa::neon, vecmat_bf16_neon},
#endif
      {Isa::ref, vecmat_bf16_ref}};
  return {list, sizeof list / sizeof list[0]};
}

}  // namespace ponder::kernels
