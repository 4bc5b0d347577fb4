#include "kernels/swiglu/swiglu.h"

namespace ponder::kernels {

ImplList<SwigluFn> swiglu_impls() {
  static constexpr Impl<SwigluFn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, swiglu_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, swiglu_avx2},
#endif
#ifdef PONDER_HAVE_NEON
      {Isa::neon, swiglu_neon},
#endif
      {Isa::ref, swiglu_ref}};
  return {list, sizeof list / sizeof list[0]};
}

}  // namespace ponder::kernels
