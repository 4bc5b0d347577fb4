#include "kernels/rms_norm/rms_norm.h"

namespace ponder::kernels {

ImplList<RmsNormFn> rms_norm_impls() {
  static constexpr Impl<RmsNormFn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, rms_norm_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, rms_norm_avx2},
#endif
#ifdef PONDER_HAVE_NEON
      {Isa::neon, rms_norm_neon},
#endif
      {Isa::ref, rms_norm_ref}};
  return {list, sizeof list / sizeof list[0]};
}

}  // namespace ponder::kernels
