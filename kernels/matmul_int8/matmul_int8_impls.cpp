#include "kernels/matmul_int8/matmul_int8.h"

namespace ponder::kernels {

ImplList<MatmulInt8Fn> matmul_int8_impls() {
#ifdef PONDER_HAVE_AVX512VNNI
  static constexpr Impl<MatmulInt8Fn> list[] = {{Isa::avx512vnni, matmul_int8_avx512vnni}};
  return {list, sizeof list / sizeof list[0]};
#else
  return {nullptr, 0};
#endif
}

}  // namespace ponder::kernels
