#include "kernels/q4_1/q4_1.h"

namespace ponder::kernels {

ImplList<ToF32Fn> q4_1_to_f32_impls() {
  static constexpr Impl<ToF32Fn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, q4_1_to_f32_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, q4_1_to_f32_avx2},
#endif
      {Isa::ref, q4_1_to_f32_ref}};
  return {list, sizeof list / sizeof list[0]};
}

ImplList<MatmulFn> matmul_q4_1_impls() {
  static constexpr Impl<MatmulFn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, matmul_q4_1_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, matmul_q4_1_avx2},
#endif
      {Isa::ref, matmul_q4_1_ref}};
  return {list, sizeof list / sizeof list[0]};
}

ImplList<VecmatFn> vecmat_q4_1_impls() {
  static constexpr Impl<VecmatFn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, vecmat_q4_1_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, vecmat_q4_1_avx2},
#endif
      {Isa::ref, vecmat_q4_1_ref}};
  return {list, sizeof list / sizeof list[0]};
}

ImplList<const Int8Kernels> q4_1_int8_impls() {
#ifdef PONDER_HAVE_AVX2
  static constexpr Impl<const Int8Kernels> list[] = {
#ifdef PONDER_HAVE_AVX512VNNI
      {Isa::avx512vnni, &q4_1_int8_avx512vnni},
#endif
      {Isa::avx2, &q4_1_int8_avx2}};
  return {list, sizeof list / sizeof list[0]};
#else
  return {nullptr, 0};
#endif
}

}  // namespace ponder::kernels
