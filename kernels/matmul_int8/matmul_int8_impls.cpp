#include "kernels/matmul_int8/matmul_int8.h"

namespace ponder::kernels {

ImplList<MatmulInt8Fn> matmul_int8_impls() {
  static constexpr Impl<MatmulInt8Fn> list[] = {
#ifdef PONDER_HAVE_AVX512VNNI
      {Isa::avx512vnni, matmul_int8_avx512vnni},
#endif
#ifdef PONDER_HAVE_AVX2
      {Isa::avx2, matmul_int8_avx2},
#endif
      {Isa::ref, matmul_int8_ref}};  // of any panel
  return {list, sizeof list / sizeof list[0]};
}

}  // namespace ponder::kernels
