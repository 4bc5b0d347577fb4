#include "kernels/iq1_m/iq1_m.h"

#include "kernels/base/avx512.inl.h"
// After the lanes, which it is written in:
#include "kernels/iq1_m/iq1_m_simd.inl.h"
#include "kernels/base/int8_avx512.inl.h"

namespace ponder::kernels {

namespace {
using Bytes = BytesOf<StoredIq1M, 16, -9, 9>;
}

extern const Int8Kernels iq1_m_int8_avx512vnni = {dot_int8<Bytes>, fill_panel<Bytes>};

}  // namespace ponder::kernels
