#include "kernels/rope/rope.h"

namespace ponder::kernels {

ImplList<RopeFn> rope_interleaved_impls() {
  static constexpr Impl<RopeFn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, rope_interleaved_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, rope_interleaved_avx2},
#endif
#ifdef PONDER_HAVE_NEON
      {Isa::neon, rope_interleaved_neon},
#endif
      {Isa::ref, rope_interleaved_ref}};
  return {list, sizeof list / sizeof list[0]};
}

ImplList<RopeFn> rope_half_impls() {
  static constexpr Impl<RopeFn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, rope_half_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, rope_half_avx2},
#endif
#ifdef PONDER_HAVE_NEON
      {Isa::neon, rope_half_neon},
#endif
      {Isa::ref, rope_half_ref}};
  return {list, sizeof list / sizeof list[0]};
}

}  // namespace ponder::kernels
