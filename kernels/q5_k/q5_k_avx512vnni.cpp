#include "kernels/q5_k/q5_k.h"

#include "kernels/base/avx512.inl.h"
// After the lanes, which it is written in:
#include "kernels/q5_k/q5_k_bytes.inl.h"

namespace ponder::kernels {

extern const Int8Kernels q5_k_int8_avx512vnni = {dot_int8<BytesQ5K>, fill_panel<BytesQ5K>};

}  // namespace ponder::kernels
