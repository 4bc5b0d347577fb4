#include "kernels/q6_k/q6_k.h"

#include "kernels/base/avx512.inl.h"
// After the lanes, which it is written in:
#include "kernels/q6_k/q6_k_bytes.inl.h"

namespace ponder::kernels {

extern const Int8Kernels q6_k_int8_avx512vnni = {dot_int8<BytesQ6K>, fill_panel<BytesQ6K>};

}  // namespace ponder::kernels
