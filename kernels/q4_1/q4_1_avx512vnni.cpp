#include "kernels/q4_1/q4_1.h"

#include "kernels/base/avx512.inl.h"
// After the lanes, which it is written in:
#include "kernels/q4_1/q4_1_bytes.inl.h"

namespace ponder::kernels {

extern const Int8Kernels q4_1_int8_avx512vnni = {dot_int8<BytesQ41>, fill_panel<BytesQ41>};

}  // namespace ponder::kernels
