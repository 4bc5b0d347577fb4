// Products of few rows with weights of plain types, the choice for all types, and rows of odd widths, which are read one by one.
#include "kernels/matmul/matvec.cuh"

namespace ponder::cuda {

namespace {

template <class Body>
bool with_plain_type(uint32_t type, Body&& body) {
  switch (type) {
    case PONDER_TYPE_F32: body(TypeConstant<PONDER_TYPE_F32>()); return true;
    case PONDER_TYPE_F16: body(TypeConstant<PONDER_TYPE_F16>()); return true;
    case PONDER_TYPE_BF16: body(TypeConstant<PONDER_TYPE_BF16>()); return true;
    case PONDER_TYPE_F8_E4M3: body(TypeConstant<PONDER_TYPE_F8_E4M3>()); return true;
    default: return false;
  }
}

bool is_whole(const ponder_device_rows& x, const ponder_device_matrix& w) {
  return w.n_in % 8 == 0 && x.stride % 8 == 0 && reinterpret_cast<uintptr_t>(x.data) % 16 == 0;
}

// ---- Any width, element by element ----

template <uint32_t Type>
__device__ float dot_any(const ponder_device_matrix& w, uint64_t matrix, uint64_t out, const ponder_device_rows& x, uint64_t row) {
  const uint8_t* weights = matrix_row(w, matrix, out);
  const float* scales = matrix_scales(w, matrix, out);
  float sum = 0;
  for (uint32_t k = threadIdx.x % 32; k < w.n_in; k += 32) sum = fmaf(load(x, row, k), WeightRow<Type>::at(weights, scales, k), sum);
  return warp_sum(sum);
}
template <uint32_t Type>
__global__ void matvec_any_kernel(ponder_device_rows y, ponder_device_rows x, ponder_device_matrix w, ponder_device_matrix up, bool gated,
                                  const float* bias, uint32_t accumulate) {
  wait_for_previous();
  let_next_start();
  const uint64_t out = static_cast<uint64_t>(blockIdx.y) * kMatvecWarps + threadIdx.x / 32, t = blockIdx.x;
  if (out >= w.n_out) return;
  float sum = dot_any<Type>(w, 0, out, x, t);
  if (gated) sum = silu_exact(sum) * dot_any<Type>(up, 0, out, x, t);
  if (threadIdx.x % 32 != 0) return;
  if (bias) sum += bias[out];
  if (accumulate) sum += load(y, t, out);
  store(y, t, out, sum);
}
template <uint32_t Type>
__global__ void expert_gated_any_kernel(ponder_device_rows inner, ponder_device_rows x, ponder_device_matrix gate, ponder_device_matrix up,
                                        ponder_device_slots slots) {
  wait_for_previous();
  let_next_start();
  const uint64_t out = static_cast<uint64_t>(blockIdx.y) * kMatvecWarps + threadIdx.x / 32, slot = blockIdx.x;
  if (out >= gate.n_out) return;
  const uint64_t e = static_cast<uint64_t>(slots.ids[slot]), t = slot / slots.top_k;
  const float g = dot_any<Type>(gate, e, out, x, t), u = dot_any<Type>(up, e, out, x, t);
  if (threadIdx.x % 32 == 0) store(inner, slot, out, silu_exact(g) * u);
}
template <uint32_t Type>
__global__ void expert_down_any_kernel(ponder_device_rows out, ponder_device_rows inner, ponder_device_matrix down, ponder_device_slots slots) {
  wait_for_previous();
  let_next_start();
  const uint64_t col = static_cast<uint64_t>(blockIdx.y) * kMatvecWarps + threadIdx.x / 32, t = blockIdx.x;
  if (col >= down.n_out) return;
  float sum = 0;
  for (uint32_t i = 0; i < slots.top_k; ++i) {
    const uint64_t slot = t * slots.top_k + i;
    sum = fmaf(slots.weights[slot], dot_any<Type>(down, static_cast<uint64_t>(slots.ids[slot]), col, inner, slot), sum);
  }
  if (threadIdx.x % 32 == 0) store(out, t, col, load(out, t, col) + sum);
}

}  // namespace

void matvec(ponder_queue* q, ponder_device_rows y, ponder_device_rows x, const ponder_device_matrix& w, const ponder_device_matrix* up,
            const float* bias, uint32_t accumulate, uint64_t n) {
  const MatvecCall call{q, y, x, w, up ? *up : w, bias, accumulate, n, up != nullptr};
  if (is_whole(x, w)) {
    if (!with_plain_type(w.type, [&](auto type) { matvec_of<decltype(type)::value>(call); })) matvec_blocks(call);
    return;
  }
  const bool plain = with_plain_type(w.type, [&](auto type) {
    launch(q, "matvec", matvec_any_kernel<decltype(type)::value>, dim3(static_cast<unsigned>(n), blocks_for(w.n_out, kMatvecWarps)),
           dim3(32 * kMatvecWarps), 0, y, x, w, call.up, call.gated, bias, accumulate);
  });
  if (!plain) note(q, cudaErrorMisalignedAddress, "rows that meet weights of a block type");
}

void matvec_experts(ponder_queue* q, ponder_device_rows out, ponder_device_rows x, const ponder_device_matrix& gate,
                    const ponder_device_matrix& up, const ponder_device_matrix& down, const ponder_device_matrix* const* shared,
                    const ponder_device_slots& slots, uint64_t n) {
  const uint64_t n_slots = n * slots.top_k, stride = (gate.n_out + 15) / 16 * 16;
  SharedExperts more{gate, up, down, 0};
  if (shared) more = {*shared[0], *shared[1], *shared[2], static_cast<uint32_t>(shared[0]->n_out / gate.n_out)};
  if (more.n > kMaxShared) return note(q, cudaErrorNotSupported, "shared experts of more than 8 times a routed one");
  const ponder_device_rows inner{scratch(q, 0, (n_slots + n * more.n) * stride * sizeof(float)), stride, x.type};
  if (!inner.data) return;
  const ExpertsCall first{q, inner, x, gate, up, more, slots, n}, second{q, out, inner, down, down, more, slots, n};
  const dim3 block(32 * kMatvecWarps);
  if (is_whole(x, gate)) {
    if (!with_plain_type(gate.type, [&](auto type) { experts_gated_of<decltype(type)::value>(first); })) experts_gated_blocks(first);
  } else {
    (void)with_plain_type(gate.type, [&](auto type) {
      launch(q, "experts", expert_gated_any_kernel<decltype(type)::value>,
             dim3(static_cast<unsigned>(n_slots), blocks_for(gate.n_out, kMatvecWarps)), block, 0, inner, x, gate, up, slots);
    });
  }
  if (is_whole(inner, down)) {
    if (!with_plain_type(down.type, [&](auto type) { experts_down_of<decltype(type)::value>(second); })) experts_down_blocks(second);
  } else {
    (void)with_plain_type(down.type, [&](auto type) {
      launch(q, "experts", expert_down_any_kernel<decltype(type)::value>, dim3(static_cast<unsigned>(n), blocks_for(down.n_out, kMatvecWarps)), block,
             0, out, inner, down, slots);
    });
  }
}

}  // namespace ponder::cuda
