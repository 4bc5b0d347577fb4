// One warp takes one output: its lanes stride over the row of weights, which is read once for up to four rows of x. All arithmetic is
// f32 and the order of a sum depends on n_in alone, so that a row has the same bits in any company: with f32 x this is exact
// compute's product, whatever the number of rows.
#pragma once

#include "kernels/base/cuda_weights.cuh"

namespace ponder::cuda {

constexpr int kMatvecWarps = 8;

// Whole octets from aligned addresses.
template <class X>
__device__ inline void load_x8(float* out, const X* at) {
  if constexpr (sizeof(X) == 4) {
    const float4 a = *reinterpret_cast<const float4*>(at), b = *reinterpret_cast<const float4*>(at + 4);
    out[0] = a.x, out[1] = a.y, out[2] = a.z, out[3] = a.w, out[4] = b.x, out[5] = b.y, out[6] = b.z, out[7] = b.w;
  } else {
    const uint4 v = *reinterpret_cast<const uint4*>(at);
    const uint32_t words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      out[2 * i] = __uint_as_float(words[i] << 16);
      out[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
    }
  }
}

// Octets of weights that a lane asks for before it uses the first: as many as registers allow.
template <uint32_t Type, int R>
inline constexpr int kOctetsAhead = Type > PONDER_TYPE_F8_E4M3 ? (R == 1 ? 4 : 2) : Type == PONDER_TYPE_F32 ? 4 : R == 1 ? 8 : 4;

// A lane's share of one row of weights. The first octets are asked for by the constructor, so that they come while the results of
// earlier kernels are waited for.
template <uint32_t Type, int kAhead>
struct LaneWeights {
  const uint8_t* row;
  const float* scales;
  uint32_t n_in;
  int lane;
  typename WeightRow<Type>::Raw ahead[kAhead];
  __device__ LaneWeights(const ponder_device_matrix& w, uint64_t matrix, uint64_t out, int l)
      : row(matrix_row(w, matrix, out)), scales(matrix_scales(w, matrix, out)), n_in(static_cast<uint32_t>(w.n_in)), lane(l) {
    load(0);
  }
  __device__ LaneWeights(const uint8_t* r, const float* s, uint64_t n, int l) : row(r), scales(s), n_in(static_cast<uint32_t>(n)), lane(l) { load(0); }
  __device__ void load(uint32_t base) {
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      const uint32_t k = base + (u * 32 + lane) * 8;
      if (k < n_in) ahead[u] = WeightRow<Type>::read(row, scales, k);
    }
  }
  // sums[r] += the lane's part of x[r] . row
  template <class X, int R>
  __device__ void dot(float* sums, const X* const (&x)[R]) {
    for (uint32_t base = 0; base < n_in; base += 256 * kAhead) {
      if (base > 0) load(base);
#pragma unroll
      for (int u = 0; u < kAhead; ++u) {
        const uint32_t k = base + (u * 32 + lane) * 8;
        if (k < n_in) {
          float weights[8];
          WeightRow<Type>::decode(weights, ahead[u], scales, k);
#pragma unroll
          for (int r = 0; r < R; ++r) {
            float values[8];
            load_x8(values, x[r] + k);
#pragma unroll
            for (int i = 0; i < 8; ++i) sums[r] = fmaf(values[i], weights[i], sums[r]);
          }
        }
      }
    }
  }
};

// n_in is a multiple of 8 and rows of x are aligned to 16 bytes.
template <uint32_t Type, class X, int R, bool Gated>
__global__ void __launch_bounds__(32 * kMatvecWarps) matvec_kernel(ponder_device_rows y, ponder_device_rows x, ponder_device_matrix w,
                                                                   ponder_device_matrix up, const float* bias, uint32_t accumulate, uint64_t n) {
  constexpr int kAhead = kOctetsAhead<Type, R>;
  const int lane = threadIdx.x % 32;
  const uint64_t out = static_cast<uint64_t>(blockIdx.y) * kMatvecWarps + threadIdx.x / 32, first = static_cast<uint64_t>(blockIdx.x) * R;
  const bool inside = out < w.n_out;
  LaneWeights<Type, kAhead> weights(w, 0, inside ? out : 0, lane);
  LaneWeights<Type, Gated ? kAhead : 1> ups(up, 0, Gated && inside ? out : 0, lane);
  wait_for_previous();
  let_next_start();
  if (!inside) return;
  const X* rows[R];
  float sums[R] = {}, up_sums[R] = {};
#pragma unroll
  for (int r = 0; r < R; ++r) rows[r] = static_cast<const X*>(x.data) + (first + r < n ? first + r : n - 1) * x.stride;
  weights.template dot<X, R>(sums, rows);
  if constexpr (Gated) ups.template dot<X, R>(up_sums, rows);
#pragma unroll
  for (int r = 0; r < R; ++r) {
    float sum = warp_sum(sums[r]);
    if constexpr (Gated) sum = silu_exact(sum) * warp_sum(up_sums[r]);
    if (lane != 0 || first + r >= n) continue;
    if (bias) sum += bias[out];
    if (accumulate) sum += load(y, first + r, out);
    store(y, first + r, out, sum);
  }
}

// Shared experts as n more experts of every row: parts of gate and up by rows, of down by columns. Their slots follow the routed ones.
struct SharedExperts {
  ponder_device_matrix gate, up, down;
  uint32_t n;
};

// inner[slot] = silu(x[slot / top_k] G_e^T) * (x[...] U_e^T); slots by row, blocks (slot, outputs).
template <uint32_t Type, class X>
__global__ void __launch_bounds__(32 * kMatvecWarps) expert_gated_kernel(ponder_device_rows inner, ponder_device_rows x, ponder_device_matrix gate,
                                                                         ponder_device_matrix up, SharedExperts shared, ponder_device_slots slots,
                                                                         uint64_t n_slots) {
  wait_for_previous();
  let_next_start();
  const int lane = threadIdx.x % 32;
  const uint64_t out = static_cast<uint64_t>(blockIdx.y) * kMatvecWarps + threadIdx.x / 32, slot = blockIdx.x;
  if (out >= gate.n_out) return;
  const bool routed = slot < n_slots;
  const uint64_t index = routed ? static_cast<uint64_t>(slots.ids[slot]) : (slot - n_slots) % shared.n * gate.n_out;
  const uint64_t t = routed ? slot / slots.top_k : (slot - n_slots) / shared.n;
  const X* rows[1] = {static_cast<const X*>(x.data) + t * x.stride};
  // Rows of shared ones have the same width and, where there are any, no scales.
  const uint64_t offset = routed ? index * gate.stack_bytes + out * gate.row_bytes : (index + out) * gate.row_bytes;
  const uint64_t up_offset = routed ? index * up.stack_bytes + out * up.row_bytes : (index + out) * up.row_bytes;
  LaneWeights<Type, kOctetsAhead<Type, 1>> gates(static_cast<const uint8_t*>(routed ? gate.data : shared.gate.data) + offset,
                                                 matrix_scales(gate, index, out), gate.n_in, lane);
  LaneWeights<Type, kOctetsAhead<Type, 1>> ups(static_cast<const uint8_t*>(routed ? up.data : shared.up.data) + up_offset,
                                               matrix_scales(up, index, out), up.n_in, lane);
  float g = 0, u = 0;
  gates.template dot<X, 1>(&g, rows);
  ups.template dot<X, 1>(&u, rows);
  g = warp_sum(g), u = warp_sum(u);
  if (lane == 0) store(inner, slot, out, silu_exact(g) * u);
}

// out[t] += sum of weight * (inner[slot] D_e^T), experts in ascending order. A block takes kDownCols outputs, a warp of it one of the
// top_k experts.
constexpr int kDownCols = 2, kDownWarps = 8, kMaxTopK = 32, kMaxShared = 8;
template <uint32_t Type, class X>
__global__ void __launch_bounds__(32 * kDownWarps) expert_down_kernel(ponder_device_rows out, ponder_device_rows inner, ponder_device_matrix down,
                                                                      SharedExperts shared, ponder_device_slots slots, uint64_t n_slots) {
  __shared__ float parts[kDownCols][kMaxTopK + kMaxShared];
  wait_for_previous();
  let_next_start();
  constexpr int kAhead = Type <= PONDER_TYPE_F8_E4M3 && Type != PONDER_TYPE_F32 ? 6 : 2;
  const int lane = threadIdx.x % 32;
  const uint64_t first = static_cast<uint64_t>(blockIdx.y) * kDownCols, t = blockIdx.x;
  const uint64_t second = first + 1 < down.n_out ? first + 1 : first;
  const uint32_t n_choices = slots.top_k + shared.n;
  for (uint32_t choice = threadIdx.x / 32; choice < n_choices; choice += blockDim.x / 32) {
    const bool routed = choice < slots.top_k;
    const uint32_t part = choice - slots.top_k;
    const uint64_t slot = routed ? t * slots.top_k + choice : n_slots + t * shared.n + part;
    const uint64_t e = routed ? static_cast<uint64_t>(slots.ids[slot]) : 0;
    const uint64_t row_bytes = routed ? down.row_bytes : shared.down.row_bytes;
    const uint8_t* base = static_cast<const uint8_t*>(routed ? down.data : shared.down.data) + (routed ? e * down.stack_bytes : part * down.n_in * 2);  // shared: bf16
    LaneWeights<Type, kAhead> a(base + first * row_bytes, matrix_scales(down, e, first), down.n_in, lane);
    LaneWeights<Type, kAhead> b(base + second * row_bytes, matrix_scales(down, e, second), down.n_in, lane);
    const X* rows[1] = {static_cast<const X*>(inner.data) + slot * inner.stride};
    float sums[kDownCols] = {};
    a.template dot<X, 1>(&sums[0], rows);
    b.template dot<X, 1>(&sums[1], rows);
#pragma unroll
    for (int i = 0; i < kDownCols; ++i) {
      const float sum = warp_sum(sums[i]);
      if (lane == 0) parts[i][choice] = routed ? slots.weights[slot] * sum : sum;
    }
  }
  __syncthreads();
  if (threadIdx.x >= kDownCols || first + threadIdx.x >= down.n_out) return;
  float sum = load(out, t, first + threadIdx.x);
  for (uint32_t i = 0; i < n_choices; ++i) sum += parts[threadIdx.x][i];
  store(out, t, first + threadIdx.x, sum);
}

struct MatvecCall {
  ponder_queue* q;
  ponder_device_rows y, x;
  ponder_device_matrix w, up;
  const float* bias;
  uint32_t accumulate;
  uint64_t n;
  bool gated;
};
struct ExpertsCall {
  ponder_queue* q;
  ponder_device_rows y, x;
  ponder_device_matrix w, up;
  SharedExperts shared;
  ponder_device_slots slots;
  uint64_t n;
};

template <uint32_t Type, class X, bool Gated>
void matvec_rows(const MatvecCall& c) {
  const auto go = [&](auto kernel, unsigned r) {
    launch(c.q, "matvec", kernel, dim3(blocks_for(c.n, r), blocks_for(c.w.n_out, kMatvecWarps)), dim3(32 * kMatvecWarps), 0, c.y, c.x, c.w, c.up,
           c.bias, c.accumulate, c.n);
  };
  if constexpr (Type <= PONDER_TYPE_F8_E4M3 || sizeof(X) == 2)
    if (c.n == 1) return go(matvec_kernel<Type, X, 1, Gated>, 1);
  go(matvec_kernel<Type, X, 4, Gated>, 4);
}
template <uint32_t Type>
void matvec_of(const MatvecCall& c) {
  if (is_f32(c.x)) c.gated ? matvec_rows<Type, float, true>(c) : matvec_rows<Type, float, false>(c);
  else c.gated ? matvec_rows<Type, bf16, true>(c) : matvec_rows<Type, bf16, false>(c);
}
template <uint32_t Type>
void experts_gated_of(const ExpertsCall& c) {
  const dim3 grid(static_cast<unsigned>(c.n * (c.slots.top_k + c.shared.n)), blocks_for(c.w.n_out, kMatvecWarps)), block(32 * kMatvecWarps);
  const uint64_t n_slots = c.n * c.slots.top_k;
  if (is_f32(c.x)) launch(c.q, "experts", expert_gated_kernel<Type, float>, grid, block, 0, c.y, c.x, c.w, c.up, c.shared, c.slots, n_slots);
  else launch(c.q, "experts", expert_gated_kernel<Type, bf16>, grid, block, 0, c.y, c.x, c.w, c.up, c.shared, c.slots, n_slots);
}
template <uint32_t Type>
void experts_down_of(const ExpertsCall& c) {
  const uint64_t n_slots = c.n * c.slots.top_k;
  const unsigned n_choices = c.slots.top_k + c.shared.n;
  const dim3 grid(static_cast<unsigned>(c.n), blocks_for(c.w.n_out, kDownCols)), block(32 * (n_choices < kDownWarps ? n_choices : kDownWarps));
  if (is_f32(c.x)) launch(c.q, "experts", expert_down_kernel<Type, float>, grid, block, 0, c.y, c.x, c.w, c.shared, c.slots, n_slots);
  else launch(c.q, "experts", expert_down_kernel<Type, bf16>, grid, block, 0, c.y, c.x, c.w, c.shared, c.slots, n_slots);
}

// The block types, compiled on their own (matvec_blocks_cuda.cu); nothing for other types.
void matvec_blocks(const MatvecCall& c);
void experts_gated_blocks(const ExpertsCall& c);
void experts_down_blocks(const ExpertsCall& c);

}  // namespace ponder::cuda
