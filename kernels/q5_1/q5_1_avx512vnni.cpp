#include "kernels/q5_1/q5_1.h"

#include "kernels/base/avx512.inl.h"
// After the lanes, which it is written in:
#include "kernels/q5_1/q5_1_bytes.inl.h"

namespace ponder::kernels {

extern const Int8Kernels q5_1_int8_avx512vnni = {dot_int8<BytesQ51>, fill_panel<BytesQ51>};

}  // namespace ponder::kernels
