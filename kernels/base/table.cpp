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
  t.q4_0 = {pick(q4_0_to_f32_impls(), cap), pick(matmul_q4_0_impls(), cap), pick(vecmat_q4_0_impls(), cap),
            pick(q4_0_int8_impls(), cap)};
  t.q4_1 = {pick(q4_1_to_f32_impls(), cap), pick(matmul_q4_1_impls(), cap), pick(vecmat_q4_1_impls(), cap),
            pick(q4_1_int8_impls(), cap)};
  t.q5_0 = {pick(q5_0_to_f32_impls(), cap), pick(matmul_q5_0_impls(), cap), pick(vecmat_q5_0_impls(), cap),
            pick(q5_0_int8_impls(), cap)};
  t.q5_1 = {pick(q5_1_to_f32_impls(), cap), pick(matmul_q5_1_impls(), cap), pick(vecmat_q5_1_impls(), cap),
            pick(q5_1_int8_impls(), cap)};
  t.q8_0 = {pick(q8_0_to_f32_impls(), cap), pick(matmul_q8_0_impls(), cap), pick(vecmat_q8_0_impls(), cap),
            pick(q8_0_int8_impls(), cap)};
  t.q2_k = {pick(q2_k_to_f32_impls(), cap), pick(matmul_q2_k_impls(), cap), pick(vecmat_q2_k_impls(), cap),
            pick(q2_k_int8_impls(), cap)};
  t.q3_k = {pick(q3_k_to_f32_impls(), cap), pick(matmul_q3_k_impls(), cap), pick(vecmat_q3_k_impls(), cap),
            pick(q3_k_int8_impls(), cap)};
  t.q4_k = {pick(q4_k_to_f32_impls(), cap), pick(matmul_q4_k_impls(), cap), pick(vecmat_q4_k_impls(), cap),
            pick(q4_k_int8_impls(), cap)};
  t.q5_k = {pick(q5_k_to_f32_impls(), cap), pick(matmul_q5_k_impls(), cap), pick(vecmat_q5_k_impls(), cap),
            pick(q5_k_int8_impls(), cap)};
  t.q6_k = {pick(q6_k_to_f32_impls(), cap), pick(matmul_q6_k_impls(), cap), pick(vecmat_q6_k_impls(), cap),
            pick(q6_k_int8_impls(), cap)};
  t.iq4_nl = {pick(iq4_nl_to_f32_impls(), cap), pick(matmul_iq4_nl_impls(), cap), pick(vecmat_iq4_nl_impls(), cap),
              pick(iq4_nl_int8_impls(), cap)};
  t.iq4_xs = {pick(iq4_xs_to_f32_impls(), cap), pick(matmul_iq4_xs_impls(), cap), pick(vecmat_iq4_xs_impls(), cap),
              pick(iq4_xs_int8_impls(), cap)};
  t.iq3_xxs = {pick(iq3_xxs_to_f32_impls(), cap), pick(matmul_iq3_xxs_impls(), cap), pick(vecmat_iq3_xxs_impls(), cap),
               pick(iq3_xxs_int8_impls(), cap)};
  t.iq3_s = {pick(iq3_s_to_f32_impls(), cap), pick(matmul_iq3_s_impls(), cap), pick(vecmat_iq3_s_impls(), cap),
             pick(iq3_s_int8_impls(), cap)};
  t.iq2_xxs = {pick(iq2_xxs_to_f32_impls(), cap), pick(matmul_iq2_xxs_impls(), cap), pick(vecmat_iq2_xxs_impls(), cap),
               pick(iq2_xxs_int8_impls(), cap)};
  t.iq2_xs = {pick(iq2_xs_to_f32_impls(), cap), pick(matmul_iq2_xs_impls(), cap), pick(vecmat_iq2_xs_impls(), cap),
              pick(iq2_xs_int8_impls(), cap)};
  t.iq2_s = {pick(iq2_s_to_f32_impls(), cap), pick(matmul_iq2_s_impls(), cap), pick(vecmat_iq2_s_impls(), cap),
             pick(iq2_s_int8_impls(), cap)};
  t.iq1_s = {pick(iq1_s_to_f32_impls(), cap), pick(matmul_iq1_s_impls(), cap), pick(vecmat_iq1_s_impls(), cap),
             pick(iq1_s_int8_impls(), cap)};
  t.iq1_m = {pick(iq1_m_to_f32_impls(), cap), pick(matmul_iq1_m_impls(), cap), pick(vecmat_iq1_m_impls(), cap),
             pick(iq1_m_int8_impls(), cap)};
  t.row_to_int8 = pick(row_to_int8_impls(), cap);
  t.matmul_int8 = pick(matmul_int8_impls(), cap);
  t.attend_f32 = pick(attend_f32_impls(), cap);
  t.attend_f16 = pick(attend_f16_impls(), cap);
  t.attend_bf16 = pick(attend_bf16_impls(), cap);
  t.attend_bf16_dots = t.isa == Isa::avx512bf16 && bf16_dot_is_fast() ? pick(attend_bf16_dots_impls(), cap) : nullptr;
  t.quantize = pick(quantize_impls(), cap);
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
