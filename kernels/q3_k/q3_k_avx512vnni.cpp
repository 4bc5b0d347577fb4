#include "kernels/q3_k/q3_k.h"

#include "kernels/base/avx512.inl.h"
// After the lanes, which it is written in:
#include "kernels/q3_k/q3_k_simd.inl.h"
#include "kernels/base/int8_avx512.inl.h"

namespace ponder::kernels {

namespace {
using Bytes = BytesOf<StoredQ3K, 16, -4, 3>;
}

extern const Int8Kernels q3_k_int8_avx512vnni = {dot_int8<Bytes>, fill_panel<Bytes>};

}  // namespace ponder::kernels
