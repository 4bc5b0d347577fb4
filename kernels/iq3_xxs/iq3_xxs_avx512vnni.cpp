#include "kernels/iq3_xxs/iq3_xxs.h"

#include "kernels/base/avx512.inl.h"
// After the lanes, which it is written in:
#include "kernels/iq3_xxs/iq3_xxs_simd.inl.h"
#include "kernels/base/int8_avx512.inl.h"

namespace ponder::kernels {

namespace {
using Bytes = BytesOf<StoredIq3Xxs, 32, -62, 62>;
}

extern const Int8Kernels iq3_xxs_int8_avx512vnni = {dot_int8<Bytes>, fill_panel<Bytes>};

}  // namespace ponder::kernels
