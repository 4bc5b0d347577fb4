// The kernels of one GGUF block type, as each kernels/<type>/<type>.h declares them.
#pragma once

#include "kernels/base/int8_panel.h"
#include "kernels/convert/convert.h"
#include "kernels/matmul_f32/matmul_f32.h"
#include "kernels/vecmat_f32/vecmat_f32.h"

namespace ponder::kernels {

struct BlockKernels {
  ToF32Fn* to_f32;
  MatmulFn* matmul;
  VecmatFn* vecmat;
  const Int8Kernels* int8;  // fast compute; null where there are none
};

}  // namespace ponder::kernels
