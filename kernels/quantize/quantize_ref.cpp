#include "kernels/base/quantize_blocks.inl.h"

namespace ponder::kernels {

extern const Quantizers quantizers_ref = kQuantizers;

}  // namespace ponder::kernels
