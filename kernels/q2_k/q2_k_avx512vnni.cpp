#include "kernels/q2_k/q2_k.h"

#include "kernels/base/avx512.inl.h"
// After the lanes, which it is written in:
#include "kernels/q2_k/q2_k_simd.inl.h"
#include "kernels/base/int8_avx512.inl.h"

namespace ponder::kernels {

namespace {
using Bytes = BytesOf<StoredQ2K, 16, 0, 3>;
}

extern const Int8Kernels q2_k_int8_avx512vnni = {dot_int8<Bytes>, fill_panel<Bytes>};

}  // namespace ponder::kernels
