// One row of n activations, n >= 256 and a multiple of 32, to Int8Units: round(x / scale), ties to even, scale = max |x| / 127 of
// 32 values. (One scale for 256, as ggml's Q8_K has it, costs 1.4 to 2.2 % of perplexity in SmolLM2-135M, 32 at most 0.3 %.)
//   y  int8_units(n) units, y_stride units apart      x  [n] f32, no alignment needed
// A group with a NaN or an infinity has a scale of NaN, and so has every dot with it.
#pragma once

#include "kernels/base/impl.h"
#include "kernels/base/int8_unit.h"

namespace ponder::kernels {

using RowToInt8Fn = void(Int8Unit* y, std::size_t y_stride, const float* x, std::size_t n);

RowToInt8Fn row_to_int8_ref, row_to_int8_avx2, row_to_int8_avx512;

ImplList<RowToInt8Fn> row_to_int8_impls();

}  // namespace ponder::kernels
