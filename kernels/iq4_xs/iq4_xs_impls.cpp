#include "kernels/iq4_xs/iq4_xs.h"

namespace ponder::kernels {

ImplList<ToF32Fn> iq4_xs_to_f32_impls() {
  static constexpr Impl<ToF32Fn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, iq4_xs_to_f32_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, iq4_xs_to_f32_avx2},
#endif
      {Isa::ref, iq4_xs_to_f32_ref}};
  return {list, sizeof list / sizeof list[0]};
}

ImplList<MatmulFn> matmul_iq4_xs_impls() {
  static constexpr Impl<MatmulFn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, matmul_iq4_xs_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, matmul_iq4_xs_avx2},
#endif
      {Isa::ref, matmul_iq4_xs_ref}};
  return {list, sizeof list / sizeof list[0]};
}

ImplList<VecmatFn> vecmat_iq4_xs_impls() {
  static constexpr Impl<VecmatFn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, vecmat_iq4_xs_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, vecmat_iq4_xs_avx2},
#endif
      {Isa::ref, vecmat_iq4_xs_ref}};
  return {list, sizeof list / sizeof list[0]};
}

ImplList<const Int8Kernels> iq4_xs_int8_impls() {
#ifdef PONDER_HAVE_AVX2
  static constexpr Impl<const Int8Kernels> list[] = {
#ifdef PONDER_HAVE_AVX512VNNI
      {Isa::avx512vnni, &iq4_xs_int8_avx512vnni},
#endif
      {Isa::avx2, &iq4_xs_int8_avx2}};
  return {list, sizeof list / sizeof list[0]};
#else
  return {nullptr, 0};
#endif
}

}  // namespace ponder::kernels
