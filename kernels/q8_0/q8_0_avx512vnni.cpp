#include "kernels/q8_0/q8_0.h"

#include "kernels/base/avx512.inl.h"
// After the lanes, which it is written in:
#include "kernels/q8_0/q8_0_bytes.inl.h"

namespace ponder::kernels {

extern const Int8Kernels q8_0_int8_avx512vnni = {dot_int8<BytesQ80>, fill_panel<BytesQ80>};

}  // namespace ponder::kernels
