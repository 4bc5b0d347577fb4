#include "kernels/iq2_xxs/iq2_xxs.h"

#include "kernels/base/avx512.inl.h"
// After the lanes, which it is written in:
#include "kernels/iq2_xxs/iq2_xxs_simd.inl.h"
#include "kernels/base/int8_avx512.inl.h"

namespace ponder::kernels {

namespace {
using Bytes = BytesOf<StoredIq2Xxs, 32, -43, 43>;
}

extern const Int8Kernels iq2_xxs_int8_avx512vnni = {dot_int8<Bytes>, fill_panel<Bytes>};

}  // namespace ponder::kernels
