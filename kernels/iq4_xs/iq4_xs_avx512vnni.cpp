#include "kernels/iq4_xs/iq4_xs.h"

#include "kernels/base/avx512.inl.h"
// After the lanes, which it is written in:
#include "kernels/iq4_xs/iq4_xs_bytes.inl.h"

namespace ponder::kernels {

extern const Int8Kernels iq4_xs_int8_avx512vnni = {dot_int8<BytesIq4Xs>, fill_panel<BytesIq4Xs>};

}  // namespace ponder::kernels
