// The quantisers of every type, from what kernels/<type>/<type>_quantize.inl.h says of one block.
#pragma once

#include "kernels/iq4_nl/iq4_nl_quantize.inl.h"
#include "kernels/iq4_xs/iq4_xs_quantize.inl.h"
#include "kernels/q2_k/q2_k_quantize.inl.h"
#include "kernels/q3_k/q3_k_quantize.inl.h"
#include "kernels/q4_0/q4_0_quantize.inl.h"
#include "kernels/q4_1/q4_1_quantize.inl.h"
#include "kernels/q4_k/q4_k_quantize.inl.h"
#include "kernels/q5_0/q5_0_quantize.inl.h"
#include "kernels/q5_1/q5_1_quantize.inl.h"
#include "kernels/q5_k/q5_k_quantize.inl.h"
#include "kernels/q6_k/q6_k_quantize.inl.h"
#include "kernels/q8_0/q8_0_quantize.inl.h"
#include "kernels/quantize/quantize.h"

namespace ponder::kernels {
namespace {

template <class Make>
void quantize_blocks(void* y, const float* x, std::size_t n, const float* importance) {
  auto* block = static_cast<unsigned char*>(y);
  float weights[Make::kElements];
  for (std::size_t i = 0; i < n; i += Make::kElements, block += Make::kBytes) {
    float most = 0;
    for (std::size_t k = 0; importance && k < Make::kElements; ++k) most = greater(most, importance[i + k]);
    // Scaled to 1 at most: squares of tiny importances would vanish. A millionth for each, lest one with none go astray.
    for (std::size_t k = 0; k < Make::kElements; ++k) weights[k] = most > 0 ? importance[i + k] / most + 1e-6f : 1;
    Make::encode(block, x + i, weights);
  }
}

constexpr Quantizers kQuantizers = {
    quantize_blocks<MakeQ40>, quantize_blocks<MakeQ41>, quantize_blocks<MakeQ50>,   quantize_blocks<MakeQ51>,
    quantize_blocks<MakeQ80>, quantize_blocks<MakeQ2K>, quantize_blocks<MakeQ3K>,   quantize_blocks<MakeQ4K>,
    quantize_blocks<MakeQ5K>, quantize_blocks<MakeQ6K>, quantize_blocks<MakeIq4Nl>, quantize_blocks<MakeIq4Xs>};

}  // namespace
}  // namespace ponder::kernels
