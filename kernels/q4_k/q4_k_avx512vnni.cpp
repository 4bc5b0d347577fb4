#include "kernels/q4_k/q4_k.h"

#include "kernels/base/avx512.inl.h"
// After the lanes, which it is written in:
#include "kernels/q4_k/q4_k_bytes.inl.h"

namespace ponder::kernels {

extern const Int8Kernels q4_k_int8_avx512vnni = {dot_int8<BytesQ4K>, fill_panel<BytesQ4K>};

}  // namespace ponder::kernels
