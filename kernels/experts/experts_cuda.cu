// Routed experts: for few rows straight from the weights, else as grouped products of rows sorted by expert.
#include "kernels/base/cuda_groups.cuh"

namespace ponder::cuda {

namespace {

constexpr uint64_t kFewRows = 4;  // then experts are hardly shared by rows

// out[t] += sum of weight * y[at[slot]], experts in ascending order
__global__ void combine_kernel(ponder_device_rows out, ponder_device_rows y, ponder_device_slots slots, uint64_t width) {
  wait_for_previous();
  let_next_start();
  const uint64_t t = blockIdx.x;
  if (y.type == PONDER_TYPE_BF16 && width % 8 == 0 && y.stride % 8 == 0 && out.stride % 4 == 0) {
    for (uint64_t k = threadIdx.x * 8; k < width; k += blockDim.x * 8) {
      float4* to = reinterpret_cast<float4*>(static_cast<float*>(out.data) + t * out.stride + k);
      float4 low = to[0], high = to[1];
      for (uint32_t i = 0; i < slots.top_k; ++i) {
        const uint64_t slot = t * slots.top_k + i;
        const float weight = slots.weights[slot];
        const uint4 v = *reinterpret_cast<const uint4*>(static_cast<const bf16*>(y.data) + static_cast<uint64_t>(slots.at[slot]) * y.stride + k);
        const __nv_bfloat162* pairs = reinterpret_cast<const __nv_bfloat162*>(&v);
        const float2 a = __bfloat1622float2(pairs[0]), b = __bfloat1622float2(pairs[1]), c = __bfloat1622float2(pairs[2]),
                     d = __bfloat1622float2(pairs[3]);
        low.x += weight * a.x, low.y += weight * a.y, low.z += weight * b.x, low.w += weight * b.y;
        high.x += weight * c.x, high.y += weight * c.y, high.z += weight * d.x, high.w += weight * d.y;
      }
      to[0] = low, to[1] = high;
    }
    return;
  }
  for (uint64_t k = threadIdx.x; k < width; k += blockDim.x) {
    float sum = load(out, t, k);
    for (uint32_t i = 0; i < slots.top_k; ++i) {
      const uint64_t slot = t * slots.top_k + i;
      sum += slots.weights[slot] * load(y, static_cast<uint64_t>(slots.at[slot]), k);
    }
    store(out, t, k, sum);
  }
}

__global__ void sort_kernel(ponder_device_rows y, ponder_device_rows x, ponder_device_slots slots, uint64_t width) {
  wait_for_previous();
  let_next_start();
  const uint64_t i = blockIdx.x, from = static_cast<uint64_t>(slots.order[i]) / slots.top_k;
  const bf16* row = static_cast<const bf16*>(x.data) + from * x.stride;
  bf16* to = static_cast<bf16*>(y.data) + i * y.stride;
  for (uint64_t k = threadIdx.x * 8; k < width; k += blockDim.x * 8)  // strides are multiples of 8: whole octets stay inside
    *reinterpret_cast<uint4*>(to + k) = *reinterpret_cast<const uint4*>(row + k);
}

}  // namespace

void matmul_grouped(ponder_queue* q, ponder_device_rows y, ponder_device_rows x, const ponder_device_matrix* w, const ponder_device_slots* slots,
                    uint64_t n_slots, uint32_t sorted) {
  const Groups groups{slots->first, sorted ? nullptr : slots->order, slots->top_k, slots->n_experts, n_slots};
  if (is_f32(x)) return note(q, cudaErrorNotSupported, "a grouped product of f32 rows");
  if (!matmul_wgmma(q, y, x, *w, 0, groups)) matmul_mma(q, y, x, *w, nullptr, 0, groups);
}

void experts(ponder_queue* q, ponder_device_rows out, ponder_device_rows x, const ponder_device_matrix* gate,
             const ponder_device_matrix* up, const ponder_device_matrix* down, const ponder_device_matrix* const* shared,
             const ponder_device_slots* slots, uint64_t n) {
  const bool few = (is_f32(x) || n <= kFewRows) && gate->type == up->type;
  // Few rows: shared experts that are whole multiples of a routed one are so many more experts, in the same kernels.
  const bool joins = shared && few && !is_f32(x) && gate->type == PONDER_TYPE_BF16 && down->type == PONDER_TYPE_BF16 &&
                     shared[0]->type == PONDER_TYPE_BF16 && shared[1]->type == PONDER_TYPE_BF16 && shared[2]->type == PONDER_TYPE_BF16 &&
                     shared[0]->n_out % gate->n_out == 0 && shared[0]->n_out <= 8 * gate->n_out && gate->n_out % 8 == 0 && gate->n_in % 8 == 0 && x.stride % 8 == 0;
  if (shared && !joins) {
    const uint64_t inner_width = (shared[0]->n_out + 15) / 16 * 16;
    const ponder_device_rows inner{scratch(q, 2, n * inner_width * (is_f32(x) ? 4 : 2)), inner_width, x.type};
    if (!inner.data) return;
    matmul_gated(q, inner, x, shared[0], shared[1], n);
    matmul(q, out, inner, shared[2], nullptr, n, PONDER_MATMUL_ACCUMULATE);
  }
  if (few) return matvec_experts(q, out, x, *gate, *up, *down, joins ? shared : nullptr, *slots, n);
  const uint64_t n_slots = n * slots->top_k, width = (gate->n_out + 15) / 16 * 16, hidden = (down->n_out + 15) / 16 * 16;
  const uint64_t element = is_f32(x) ? 4 : 2;
  const ponder_device_rows both{scratch(q, 1, n_slots * 2 * width * element), 2 * width, x.type};
  const ponder_device_rows inner{scratch(q, 0, n_slots * width * element), width, x.type};
  const ponder_device_rows y{scratch(q, 2, n_slots * hidden * element), hidden, x.type};
  if (!both.data || !inner.data || !y.data) return;
  // bf16 rows are sorted once for both; fp8 ones are made for each product.
  const bool sorts = gate->type == PONDER_TYPE_BF16 && up->type == PONDER_TYPE_BF16 && !is_f32(x) && x.stride % 8 == 0;
  ponder_device_rows sorted = x;
  if (sorts) {
    sorted = {scratch(q, 3, n_slots * x.stride * 2), x.stride, x.type};
    if (!sorted.data) return;
    launch(q, "rows", sort_kernel, dim3(static_cast<unsigned>(n_slots)), dim3(gate->n_in >= 2048 ? 256 : 64), 0, sorted, x, *slots, gate->n_in);
  }
  const ponder_device_matrix joint = gate_with_up(*gate, *up);
  if (joint.n_out > 0) {
    matmul_grouped(q, both, sorted, &joint, slots, n_slots, sorts);
  } else {
    matmul_grouped(q, both, sorted, gate, slots, n_slots, sorts);
    matmul_grouped(q, shift_cols(both, width), sorted, up, slots, n_slots, sorts);
  }
  swiglu(q, inner, both, width, n_slots, gate->n_out);
  matmul_grouped(q, y, inner, down, slots, n_slots, 1);
  launch(q, "combine", combine_kernel, dim3(static_cast<unsigned>(n)), dim3(256), 0, out, y, *slots, down->n_out);
}

}  // namespace ponder::cuda
