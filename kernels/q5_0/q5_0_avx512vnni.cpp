#include "kernels/q5_0/q5_0.h"

#include "kernels/base/avx512.inl.h"
// After the lanes, which it is written in:
#include "kernels/q5_0/q5_0_bytes.inl.h"

namespace ponder::kernels {

extern const Int8Kernels q5_0_int8_avx512vnni = {dot_int8<BytesQ50>, fill_panel<BytesQ50>};

}  // namespace ponder::kernels
