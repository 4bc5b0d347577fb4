#include "kernels/base/quantize_blocks.inl.h"

namespace ponder::kernels {

extern const Quantizers quantizers_avx2 = kQuantizers;

}  // namespace ponder::kernels
