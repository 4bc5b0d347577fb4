#include "kernels/q4_0/q4_0.h"

#include "kernels/base/avx512.inl.h"
// After the lanes, which it is written in:
#include "kernels/q4_0/q4_0_bytes.inl.h"

namespace ponder::kernels {

extern const Int8Kernels q4_0_int8_avx512vnni = {dot_int8<BytesQ40>, fill_panel<BytesQ40>};

}  // namespace ponder::kernels
