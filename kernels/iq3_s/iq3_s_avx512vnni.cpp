#include "kernels/iq3_s/iq3_s.h"

#include "kernels/base/avx512.inl.h"
// After the lanes, which it is written in:
#include "kernels/iq3_s/iq3_s_simd.inl.h"
#include "kernels/base/int8_avx512.inl.h"

namespace ponder::kernels {

namespace {
using Bytes = BytesOf<StoredIq3S, 32, -15, 15>;
}

extern const Int8Kernels iq3_s_int8_avx512vnni = {dot_int8<Bytes>, fill_panel<Bytes>};

}  // namespace ponder::kernels
