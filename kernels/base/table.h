// The kernels of one runtime: function pointers, chosen once for the CPU and the ISA cap.
#pragma once

#include "kernels/attend_rows/attend_rows.h"
#include "kernels/convert/convert.h"
#include "kernels/iq1_m/iq1_m.h"
#include "kernels/iq1_s/iq1_s.h"
#include "kernels/iq2_s/iq2_s.h"
#include "kernels/iq2_xs/iq2_xs.h"
#include "kernels/iq2_xxs/iq2_xxs.h"
#include "kernels/iq3_s/iq3_s.h"
#include "kernels/iq3_xxs/iq3_xxs.h"
#include "kernels/iq4_nl/iq4_nl.h"
#include "kernels/iq4_xs/iq4_xs.h"
#include "kernels/matmul_bf16/matmul_bf16.h"
#include "kernels/matmul_f16/matmul_f16.h"
#include "kernels/matmul_f32/matmul_f32.h"
#include "kernels/matmul_fp8/matmul_fp8.h"
#include "kernels/matmul_int8/matmul_int8.h"
#include "kernels/q2_k/q2_k.h"
#include "kernels/q3_k/q3_k.h"
#include "kernels/q4_0/q4_0.h"
#include "kernels/q4_1/q4_1.h"
#include "kernels/q4_k/q4_k.h"
#include "kernels/q5_0/q5_0.h"
#include "kernels/q5_1/q5_1.h"
#include "kernels/q5_k/q5_k.h"
#include "kernels/q6_k/q6_k.h"
#include "kernels/q8_0/q8_0.h"
#include "kernels/quantize/quantize.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/rope/rope.h"
#include "kernels/row_to_int8/row_to_int8.h"
#include "kernels/softmax/softmax.h"
#include "kernels/swiglu/swiglu.h"
#include "kernels/vecmat_bf16/vecmat_bf16.h"
#include "kernels/vecmat_f16/vecmat_f16.h"
#include "kernels/vecmat_f32/vecmat_f32.h"
#include "kernels/vecmat_fp8/vecmat_fp8.h"

namespace ponder::kernels {

struct Table {
  Isa isa;
  MatmulFn *matmul_f32, *matmul_f16, *matmul_bf16, *matmul_fp8;
  // Fast compute and many tokens only: activations may be rounded to bf16. Null where nothing beats the exact kernel.
  MatmulFn *matmul_bf16_fast, *matmul_fp8_fast;
  VecmatFn *vecmat_f32, *vecmat_f16, *vecmat_bf16, *vecmat_fp8;
  BlockKernels q4_0, q4_1, q5_0, q5_1, q8_0, q2_k, q3_k, q4_k, q5_k, q6_k;
  BlockKernels iq4_nl, iq4_xs, iq3_xxs, iq3_s, iq2_xxs, iq2_xs, iq2_s, iq1_s, iq1_m;
  AttendFn *attend_f32, *attend_f16, *attend_bf16;
  AttendFn* attend_bf16_dots;  // null where bf16 dot products are not fast
  RowToInt8Fn* row_to_int8;
  MatmulInt8Fn* matmul_int8;  // of the panels of the block types, where these have int8 kernels
  const Quantizers* quantize;
  RmsNormFn* rms_norm;
  RopeFn *rope_interleaved, *rope_half;
  SoftmaxBlockFn* softmax_block;
  SoftmaxRowFn* softmax_row;
  SwigluFn* swiglu;
  ToF32Fn *bf16_to_f32, *f16_to_f32, *fp8_to_f32;
  FromF32Fn *f32_to_bf16, *f32_to_f16;
  AddFn* add;
  ScaleAddFn* scale_add;
};

Table make_table(Isa cap);

}  // namespace ponder::kernels
