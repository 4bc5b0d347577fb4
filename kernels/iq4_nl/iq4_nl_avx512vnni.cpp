#include "kernels/iq4_nl/iq4_nl.h"

#include "kernels/base/avx512.inl.h"
// After the lanes, which it is written in:
#include "kernels/iq4_nl/iq4_nl_bytes.inl.h"

namespace ponder::kernels {

extern const Int8Kernels iq4_nl_int8_avx512vnni = {dot_int8<BytesIq4Nl>, fill_panel<BytesIq4Nl>};

}  // namespace ponder::kernels
