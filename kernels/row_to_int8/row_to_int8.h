// One row of n activations, n >= 256 and a multiple of 32, to Int8Units: round(x / scale), ties to even, with a scale of
// max |x| / 127 for each `group` values (32 or 256) of a unit; the last unit's groups lie in what it has of its own.
//   y  int8_units(n) units, y_stride units apart      x  [n] f32, no alignment needed
// A group with a NaN or an infinity has a scale that is none or infinite, and a scaled_sum of NaN, and so has every dot.
#pragma once

#include "kernels/base/impl.h"
#include "kernels/base/int8_unit.h"

namespace ponder::kernels {

using RowToInt8Fn = void(Int8Unit* y, std::size_t y_stride, const float* x, std::size_t n, std::size_t group);

RowToInt8Fn row_to_int8_ref, row_to_int8_avx2, row_to_int8_avx512;

ImplList<RowToInt8Fn> row_to_int8_impls();

}  // namespace ponder::kernels
