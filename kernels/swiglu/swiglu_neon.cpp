#include "kernels/swiglu/swiglu.h"

#include "kernels/base/neon.inl.h"
// After the lanes, which it is written in:
#include "kernels/base/elementwise_simd.inl.h"

namespace ponder::kernels {

void swiglu_neon(float* y, const float* gate, const float* up, std::size_t n) { swiglu_simd(y, gate, up, n); }

}  // namespace ponder::kernels
