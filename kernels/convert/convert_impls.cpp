#include "kernels/convert/convert.h"

namespace ponder::kernels {

ImplList<ToF32Fn> bf16_to_f32_impls() {
  static constexpr Impl<ToF32Fn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, bf16_to_f32_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, bf16_to_f32_avx2},
#endif
#ifdef PONDER_HAVE_NEON
      {Isa::neon, bf16_to_f32_neon},
#endif
      {Isa::ref, bf16_to_f32_ref}};
  return {list, sizeof list / sizeof list[0]};
}

ImplList<ToF32Fn> f16_to_f32_impls() {
  static constexpr Impl<ToF32Fn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, f16_to_f32_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, f16_to_f32_avx2},
#endif
#ifdef PONDER_HAVE_NEON
      {Isa::neon, f16_to_f32_neon},
#endif
      {Isa::ref, f16_to_f32_ref}};
  return {list, sizeof list / sizeof list[0]};
}

ImplList<ToF32Fn> fp8_to_f32_impls() {
  static constexpr Impl<ToF32Fn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, fp8_to_f32_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, fp8_to_f32_avx2},
#endif
#ifdef PONDER_HAVE_NEON
      {Isa::neon, fp8_to_f32_neon},
#endif
      {Isa::ref, fp8_to_f32_ref}};
  return {list, sizeof list / sizeof list[0]};
}

ImplList<FromF32Fn> f32_to_bf16_impls() {
  static constexpr Impl<FromF32Fn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, f32_to_bf16_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, f32_to_bf16_avx2},
#endif
#ifdef PONDER_HAVE_NEON
      {Isa::neon, f32_to_bf16_neon},
#endif
      {Isa::ref, f32_to_bf16_ref}};
  return {list, sizeof list / sizeof list[0]};
}

ImplList<FromF32Fn> f32_to_f16_impls() {
  static constexpr Impl<FromF32Fn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, f32_to_f16_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, f32_to_f16_avx2},
#endif
#ifdef PONDER_HAVE_NEON
      {Isa::neon, f32_to_f16_neon},
#endif
      {Isa::ref, f32_to_f16_ref}};
  return {list, sizeof list / sizeof list[0]};
}

ImplList<AddFn> add_impls() {
  static constexpr Impl<AddFn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, add_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, add_avx2},
#endif
#ifdef PONDER_HAVE_NEON
      {Isa::neon, add_neon},
#endif
      {Isa::ref, add_ref}};
  return {list, sizeof list / sizeof list[0]};
}

ImplList<ScaleAddFn> scale_add_impls() {
  static constexpr Impl<ScaleAddFn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, scale_add_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, scale_add_avx2},
#endif
#ifdef PONDER_HAVE_NEON
      {Isa::neon, scale_add_neon},
#endif
      {Isa::ref, scale_add_ref}};
  return {list, sizeof list / sizeof list[0]};
}

}  // namespace ponder::kernels
