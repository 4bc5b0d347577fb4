// The blocks of a GGUF type for n weights: the inverse of that type's to_f32, as near as a search finds.
//   y           n / block_elements blocks; no alignment needed
//   x           [n]  f32, finite and at most 65504 either way, f16's largest: else the blocks hold anything
//   importance  [n]  f32, finite and >= 0, e.g. the mean square of the activation that meets each column; null: all the
//               same. A block whose importance is nothing but zeros counts as all the same too.
// Least: sum_i importance[i] (x[i] - to_f32(y)[i])^2, plain squares when null. Every implementation gives the same bits.
#pragma once

#include "kernels/base/impl.h"

namespace ponder::kernels {

using QuantizeFn = void(void* y, const float* x, std::size_t n, const float* importance);

// One ISA's, named as the types.
struct Quantizers {
  QuantizeFn *q4_0, *q4_1, *q5_0, *q5_1, *q8_0, *q2_k, *q3_k, *q4_k, *q5_k, *q6_k, *iq4_nl, *iq4_xs;
};
extern const Quantizers quantizers_ref, quantizers_avx2, quantizers_avx512;

ImplList<const Quantizers> quantize_impls();

}  // namespace ponder::kernels
