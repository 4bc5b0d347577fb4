#include "kernels/base/table.h"

namespace ponder::kernels {

Table make_table(Isa cap) {
  Table t{};
  t.isa = best_isa(cap);
  t.matmul_f32 = pick(matmul_f32_impls(), cap);
  t.matmul_f16 = pick(matmul_f16_impls(), cap);
  t.matmul_bf16 = pick(matmul_bf16_impls(), cap);
  t.matmul_fp8 = pick(matmul_fp8_impls(), cap);
  const Isa fast_cap = t.isa == Isa::avx512bf16 && !bf16_dot_is_fast() ? Isa::avx512 : cap;
  t.matmul_bf16_fast = pick(matmul_bf16_fast_impls(), fast_cap);
  t.matmul_fp8_fast = pick(matmul_fp8_fast_impls(), fast_cap);
  t.vecmat_f32 = pick(vecmat_f32_impls(), cap);
  t.vecmat_f16 = pick(vecmat_f16_impls(), cap);
  t.vecmat_bf16 = pick(vecmat_bf16_impls(), cap);
  t.vecmat_fp8 = pick(vecmat_fp8_impls(), cap);
  t.rms_norm = pick(rms_norm_impls(), cap);
  t.rope_interleaved = pick(rope_interleaved_impls(), cap);
  t.rope_half = pick(rope_half_impls(), cap);
  t.softmax_block = pick(softmax_block_impls(), cap);
  t.softmax_row = pick(softmax_row_impls(), cap);
  t.swiglu = pick(swiglu_impls(), cap);
  t.bf16_to_f32 = pick(bf16_to_f32_impls(), cap);
  t.f16_to_f32 = pick(f16_to_f32_impls(), cap);
  t.fp8_to_f32 = pick(fp8_to_f32_impls(), cap);
  t.f32_to_bf16 = pick(f32_to_bf16_impls(), cap);
  t.f32_to_f16 = pick(f32_to_f16_impls(), cap);
  t.add = pick(add_impls(), cap);
  t.scale_add = pick(scale_add_impls(), cap);
  return t;
}

}  // namespace ponder::kernels
