#include "kernels/row_to_int8/row_to_int8.h"

namespace ponder::kernels {

ImplList<RowToInt8Fn> row_to_int8_impls() {
  static constexpr Impl<RowToInt8Fn> list[] = {
#ifdef PONDER_HAVE_AVX512
      {Isa::avx512, row_to_int8_avx512},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, row_to_int8_avx2},
#endif
      {Isa::ref, row_to_int8_ref}};
  return {list, sizeof list / sizeof list[0]};
}

}  // namespace ponder::kernels
