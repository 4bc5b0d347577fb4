#include "kernels/softmax/softmax.h"

namespace ponder::kernels {

ImplList<SoftmaxBlockFn> softmax_block_impls() {
  static constexpr Impl<SoftmaxBlockFn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, softmax_block_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, softmax_block_avx2},
#endif
#ifdef PONDER_HAVE_NEON
      {Isa::neon, softmax_block_neon},
#endif
      {Isa::ref, softmax_block_ref}};
  return {list, sizeof list / sizeof list[0]};
}

ImplList<SoftmaxRowFn> softmax_row_impls() {
  static constexpr Impl<SoftmaxRowFn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, softmax_row_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, softmax_row_avx2},
#endif
#ifdef PONDER_HAVE_NEON
      {Isa::neon, softmax_row_neon},
#endif
      {Isa::ref, softmax_row_ref}};
  return {list, sizeof list / sizeof list[0]};
}

}  // namespace ponder::kernels
