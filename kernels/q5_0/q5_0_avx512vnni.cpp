#include "kernels/q5_0/q5_0.h"

#include "kernels/base/avx512.inl.h"
// After the lanes, which it is written in:
#include "kernels/q5_0/q5_0_simd.inl.h"
#include "kernels/base/int8_avx512.inl.h"

namespace ponder::kernels {

namespace {
using Bytes = BytesOf<StoredQ50, 32, -16, 15>;
}

extern const Int8Kernels q5_0_int8_avx512vnni = {dot_int8<Bytes>, fill_panel<Bytes>};

}  // namespace ponder::kernels
