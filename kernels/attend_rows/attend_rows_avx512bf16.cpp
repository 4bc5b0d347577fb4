#include "kernels/attend_rows/attend_rows.h"

#include "kernels/base/avx512bf16.inl.h"
// After the lanes, which it is written in:
#include "kernels/base/attend_rows_simd.inl.h"

namespace ponder::kernels {

void attend_bf16_dots_avx512bf16(const AttendBlock& b) { attend_simd<PairProducts>(b); }

}  // namespace ponder::kernels
