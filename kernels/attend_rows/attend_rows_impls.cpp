#include "kernels/attend_rows/attend_rows.h"

namespace ponder::kernels {

ImplList<AttendFn> attend_f32_impls() {
  static constexpr Impl<AttendFn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, attend_f32_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, attend_f32_avx2},
#endif
#ifdef PONDER_HAVE_NEON
      {Isa::neon, attend_f32_neon},
#endif
      {Isa::ref, attend_f32_ref}};
  return {list, sizeof list / sizeof list[0]};
}

ImplList<AttendFn> attend_f16_impls() {
  static constexpr Impl<AttendFn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, attend_f16_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, attend_f16_avx2},
#endif
#ifdef PONDER_HAVE_NEON
      {Isa::neon, attend_f16_neon},
#endif
      {Isa::ref, attend_f16_ref}};
  return {list, sizeof list / sizeof list[0]};
}

ImplList<AttendFn> attend_bf16_impls() {
  static constexpr Impl<AttendFn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, attend_bf16_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, attend_bf16_avx2},
#endif
#ifdef PONDER_HAVE_NEON
      {Isa::neon, attend_bf16_neon},
#endif
      {Isa::ref, attend_bf16_ref}};
  return {list, sizeof list / sizeof list[0]};
}

ImplList<AttendFn> attend_bf16_dots_impls() {
  static constexpr Impl<AttendFn> list[] = {
#ifdef PONDER_HAVE_AVX512BF16
      {Isa::avx512bf16, attend_bf16_dots_avx512bf16},
#endif
      {Isa::ref, attend_bf16_dots_ref}};
  return {list, sizeof list / sizeof list[0]};
}

}  // namespace ponder::kernels
