// softmax_block: one step of softmax over a row that is seen block by block (online softmax), in place.
//   scores    [n]  f32: s_i before; p_i = exp(s_i * scale - new_max) after; entries of -inf become 0
//   running_max  in: largest s * scale of earlier blocks (-inf at the start); out: including this block
//   returns   sum_i p_i; *rescale = exp(old_max - new_max), by which earlier sums and outputs must be multiplied
//             (0 when there was no earlier block; 1 when the maximum did not change)
// All -inf with running_max -inf: every p is 0, the sum 0, *rescale 1. A NaN score gives a NaN sum.
// Trailing -inf entries do not change the bits of the result.
// softmax_row: p = softmax(s) over the whole row, in place (router, sampling).
// exp is within 2e-7 relative of the reference's std::exp(double).
#pragma once

#include "kernels/base/impl.h"

namespace ponder::kernels {

using SoftmaxBlockFn = float(float* scores, std::size_t n, float scale, float* running_max, float* rescale);
using SoftmaxRowFn = void(float* scores, std::size_t n);

SoftmaxBlockFn softmax_block_ref;
SoftmaxBlockFn softmax_block_avx2;
SoftmaxBlockFn softmax_block_avx512;
SoftmaxBlockFn softmax_block_neon;
SoftmaxRowFn softmax_row_ref;
SoftmaxRowFn softmax_row_avx2;
SoftmaxRowFn softmax_row_avx512;
SoftmaxRowFn softmax_row_neon;

ImplList<SoftmaxBlockFn> softmax_block_impls();
ImplList<SoftmaxRowFn> softmax_row_impls();

}  // namespace ponder::kernels
