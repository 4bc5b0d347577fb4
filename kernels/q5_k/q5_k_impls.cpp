#include "kernels/q5_k/q5_k.h"

namespace ponder::kernels {

ImplList<ToF32Fn> q5_k_to_f32_impls() {
  static constexpr Impl<ToF32Fn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, q5_k_to_f32_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, q5_k_to_f32_avx2},
#endif
      {Isa::ref, q5_k_to_f32_ref}};
  return {list, sizeof list / sizeof list[0]};
}

ImplList<MatmulFn> matmul_q5_k_impls() {
  static constexpr Impl<MatmulFn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, matmul_q5_k_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, matmul_q5_k_avx2},
#endif
      {Isa::ref, matmul_q5_k_ref}};
  return {list, sizeof list / sizeof list[0]};
}

ImplList<VecmatFn> vecmat_q5_k_impls() {
  static constexpr Impl<VecmatFn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, vecmat_q5_k_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, vecmat_q5_k_avx2},
#endif
      {Isa::ref, vecmat_q5_k_ref}};
  return {list, sizeof list / sizeof list[0]};
}

ImplList<const Int8Kernels> q5_k_int8_impls() {
#ifdef PONDER_HAVE_AVX2
  static constexpr Impl<const Int8Kernels> list[] = {
#ifdef PONDER_HAVE_AVX512VNNI
      {Isa::avx512vnni, &q5_k_int8_avx512vnni},
#endif
      {Isa::avx2, &q5_k_int8_avx2}};
  return {list, sizeof list / sizeof list[0]};
#else
  return {nullptr, 0};
#endif
}

}  // namespace ponder::kernels
