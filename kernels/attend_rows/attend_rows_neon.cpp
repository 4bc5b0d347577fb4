#include "kernels/attend_rows/attend_rows.h"

#include "kernels/base/neon.inl.h"
// After the lanes, which it is written in:
#include "kernels/base/attend_rows_simd.inl.h"

namespace ponder::kernels {

void attend_f32_neon(const AttendBlock& b) { attend_simd<FloatProducts<StoredF32>>(b); }
void attend_f16_neon(const AttendBlock& b) { attend_simd<FloatProducts<StoredF16>>(b); }
void attend_bf16_neon(const AttendBlock& b) { attend_simd<FloatProducts<StoredBf16>>(b); }

}  // namespace ponder::kernels
