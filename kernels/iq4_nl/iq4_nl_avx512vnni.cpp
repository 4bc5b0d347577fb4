#include "kernels/iq4_nl/iq4_nl.h"

#include "kernels/base/avx512.inl.h"
// After the lanes, which it is written in:
#include "kernels/iq4_nl/iq4_nl_simd.inl.h"
#include "kernels/base/int8_avx512.inl.h"

namespace ponder::kernels {

namespace {
using Bytes = BytesOf<StoredIq4Nl, 32, -127, 113>;
}

extern const Int8Kernels iq4_nl_int8_avx512vnni = {dot_int8<Bytes>, fill_panel<Bytes>};

}  // namespace ponder::kernels
