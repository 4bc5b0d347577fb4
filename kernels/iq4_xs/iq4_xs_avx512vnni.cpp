#include "kernels/iq4_xs/iq4_xs.h"

#include "kernels/base/avx512.inl.h"
// After the lanes, which it is written in:
#include "kernels/iq4_xs/iq4_xs_simd.inl.h"
#include "kernels/base/int8_avx512.inl.h"

namespace ponder::kernels {

namespace {
using Bytes = BytesOf<StoredIq4Xs, 32, -127, 113>;
}

extern const Int8Kernels iq4_xs_int8_avx512vnni = {dot_int8<Bytes>, fill_panel<Bytes>};

}  // namespace ponder::kernels
