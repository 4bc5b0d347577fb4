// One step of softmax attention over the keys and values of one block (online softmax, as in FlashAttention).
//   s[r, i] = queries[r] . keys[i];  p[r, i] = exp(s[r, i] - new_max[r]), new_max[r] = max(running_max[r], max_i s[r, i])
//   out[r] = out[r] * exp(old_max[r] - new_max[r]) + sum_i p[r, i] values[i]; sum[r] likewise, with 1 for values[i]
// At the start running_max is -inf, sum and out are 0; after the last block out[r] / sum[r] is the result.
//   queries  [n_rows, key_dims], multiplied by the scale of q . k before: f32; bf16 for attend_bf16_dots
//   keys     [n_keys, key_dims], values [n_keys, value_dims]: of the type in the kernel's name
//   out      [n_rows, value_dims] f32; running_max, sum [n_rows] f32
// Rows lie *_stride bytes (queries, keys, values) or floats (out) apart, no alignment needed. Every key row is read for every
// query row, so all of them see all keys. A NaN score gives a NaN sum; rows whose scores are all -inf stay as they were.
// attend_bf16_dots rounds p to bf16 where it meets the values, and sums products of bf16 pairs in f32, without denormals.
// Within 2e-6 of the reference, relative to sum |q k| (scores) and to max |v| (result); attend_bf16_dots: p within 2^-8.
// next: memory that the next call will read, [next_rows, next_bytes] next_stride_bytes apart, fetched into the L2 cache meanwhile;
// keys and values. Null: none. It may be any address.
// Fast compute only: the sums of a row depend on how many rows lie beside it.
#pragma once

#include "kernels/base/impl.h"

namespace ponder::kernels {

struct AttendBlock {
  const void *queries, *keys, *values;
  std::size_t query_stride_bytes, key_stride_bytes, value_stride_bytes;
  std::size_t n_rows, n_keys, key_dims, value_dims;
  float* out;
  std::size_t out_stride;
  float *running_max, *sum;
  const void* next[2];
  std::size_t next_bytes[2], next_stride_bytes, next_rows;
};

using AttendFn = void(const AttendBlock& block);

AttendFn attend_f32_ref, attend_f32_avx2, attend_f32_avx512, attend_f32_neon;
AttendFn attend_f16_ref, attend_f16_avx2, attend_f16_avx512, attend_f16_neon;
AttendFn attend_bf16_ref, attend_bf16_avx2, attend_bf16_avx512, attend_bf16_neon;
AttendFn attend_bf16_dots_ref, attend_bf16_dots_avx512bf16;

ImplList<AttendFn> attend_f32_impls();
ImplList<AttendFn> attend_f16_impls();
ImplList<AttendFn> attend_bf16_impls();
// Worth taking where bf16_dot_is_fast() (isa.h).
ImplList<AttendFn> attend_bf16_dots_impls();

}  // namespace ponder::kernels
