// Rotary position embedding of one vector per head, in place.
//   x         [n_heads, n_dims]  f32, heads head_stride elements apart; n_dims even
//   cos, sin  [n_dims / 2]       f32, for this token's position (mscale already multiplied in)
// rope_interleaved (DeepSeek MLA): pairs (2i, 2i+1);  rope_half (Qwen2, Llama): pairs (i, i + n_dims/2):
//   a' = a cos_i - b sin_i,  b' = b cos_i + a sin_i
// Within 1e-6 of |a| + |b| of the reference. Position 0 (cos 1, sin 0) leaves the vector unchanged.
#pragma once

#include "kernels/base/impl.h"

namespace ponder::kernels {

using RopeFn = void(float* x, std::size_t head_stride, const float* cos, const float* sin, std::size_t n_heads,
                    std::size_t n_dims);

RopeFn rope_interleaved_ref;
RopeFn rope_interleaved_avx2;
RopeFn rope_interleaved_avx512;
RopeFn rope_interleaved_neon;
RopeFn rope_half_ref;
RopeFn rope_half_avx2;
RopeFn rope_half_avx512;
RopeFn rope_half_neon;

ImplList<RopeFn> rope_interleaved_impls();
ImplList<RopeFn> rope_half_impls();

}  // namespace ponder::kernels
