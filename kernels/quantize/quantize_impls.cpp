#include "kernels/quantize/quantize.h"

namespace ponder::kernels {

ImplList<const Quantizers> quantize_impls() {
  static constexpr Impl<const Quantizers> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, &quantizers_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, &quantizers_avx2},
#endif
      {Isa::ref, &quantizers_ref}};
  return {list, sizeof list / sizeof list[0]};
}

}  // namespace ponder::kernels
