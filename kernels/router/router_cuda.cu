// Which experts a row goes to (lib/model/router.cpp says how), one warp per row; then slots sorted by expert.
#include "kernels/base/cuda_common.cuh"

namespace ponder::cuda {

namespace {

constexpr int kMaxPerLane = 16;  // up to 512 experts

__device__ inline float minus_infinity() { return __int_as_float(0xff800000); }

// Largest of all lanes, the lower index where equal; everybody gets both.
__device__ inline void warp_best(float& value, int& index) {
  for (int offset = 16; offset > 0; offset /= 2) {
    const float other = __shfl_xor_sync(0xffffffffu, value, offset);
    const int at = __shfl_xor_sync(0xffffffffu, index, offset);
    if (other > value || (other == value && at < index)) value = other, index = at;
  }
}

__device__ void sort_slots(const ponder_device_slots& slots, int n_slots);

// Expert e = i * 32 + lane of scores s; choice: s + bias, or NaN where it may not be chosen.
__device__ void route_row(const ponder_device_router& r, const ponder_device_rows& scores, const float* bias, const ponder_device_slots& slots, uint64_t t,
                          float* shared) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int n_experts = static_cast<int>(r.n_experts), n_group = static_cast<int>(r.n_group);
  float* choices = shared + warp * (n_experts + n_group);
  float* groups = choices + n_experts;
  float s[kMaxPerLane];
  float most = minus_infinity(), sum = 0;
#pragma unroll
  for (int i = 0; i < kMaxPerLane; ++i) {
    const int e = i * 32 + lane;
    s[i] = e < n_experts ? load(scores, t, e) : minus_infinity();
    most = fmaxf(most, s[i]);  // ignores NaN
  }
  most = warp_max(most);
#pragma unroll
  for (int i = 0; i < kMaxPerLane; ++i) {
    const int e = i * 32 + lane;
    if (e >= n_experts) continue;
    s[i] = r.sigmoid ? 1.0f / (1.0f + expf(-s[i])) : expf(s[i] - most);
    sum += s[i];
  }
  sum = warp_sum(sum);
#pragma unroll
  for (int i = 0; i < kMaxPerLane; ++i) {
    const int e = i * 32 + lane;
    if (e >= n_experts) continue;
    if (!r.sigmoid) s[i] /= sum;
    const float c = s[i] + (r.noaux && bias ? bias[e] : 0.0f);
    choices[e] = isnan(c) ? minus_infinity() : c;
    store(scores, t, e, s[i]);
  }
  __syncwarp();
  const int size = n_experts / n_group;
  if (r.grouped) {
    for (int g = lane; g < n_group; g += 32) {
      float first = minus_infinity(), second = minus_infinity();
      for (int e = g * size; e < (g + 1) * size; ++e) {
        const float c = choices[e];
        if (c > first) second = first, first = c;
        else if (c > second) second = c;
      }
      groups[g] = r.noaux ? first + (size > 1 ? second : 0.0f) : first;
    }
    __syncwarp();
    for (int g = 0; g < n_group; ++g) {
      int before = 0;
      for (int other = 0; other < n_group; ++other)
        before += groups[other] > groups[g] || (groups[other] == groups[g] && other < g) ? 1 : 0;
      if (before < static_cast<int>(r.topk_group)) continue;
      for (int e = g * size + lane; e < (g + 1) * size; e += 32) choices[e] = __int_as_float(0x7fc00000);  // never
    }
    __syncwarp();
  }
  // The best top_k, each time the largest that is left. A NaN is not chosen, -infinity is where nothing else is left.
  int chosen = 0x7fffffff;  // lane i holds the i-th
  for (uint32_t i = 0; i < r.top_k; ++i) {
    float best = 0;
    int at = 0x7fffffff;
    for (int e = lane; e < n_experts; e += 32) {
      const float c = choices[e];
      if (!isnan(c) && (at == 0x7fffffff || c > best)) best = c, at = e;
    }
    if (at == 0x7fffffff) best = minus_infinity();
    warp_best(best, at);
    if (at == 0x7fffffff) {  // fewer candidates than top_k: any that is not taken
      for (int e = 0; e < n_experts; ++e) {
        const bool taken = __any_sync(0xffffffffu, chosen == e);
        if (!taken) {
          at = e;
          break;
        }
      }
    }
    if (lane == static_cast<int>(i)) chosen = at;
    __syncwarp();
    if (lane == 0) choices[at] = __int_as_float(0x7fc00000);
    __syncwarp();
  }
  // Ascending by expert: the rank of each among all.
  int rank = 0;
  for (uint32_t i = 0; i < r.top_k; ++i) rank += __shfl_sync(0xffffffffu, chosen, static_cast<int>(i)) < chosen ? 1 : 0;
  const bool mine = lane < static_cast<int>(r.top_k);
  const float weight = mine ? load(scores, t, static_cast<uint64_t>(chosen)) : 0.0f;
  const float total = warp_sum(weight);
  if (!mine) return;
  const uint64_t slot = t * r.top_k + static_cast<uint64_t>(rank);
  slots.ids[slot] = chosen;
  slots.weights[slot] = (r.normalise ? weight / (total + 1e-20f) : weight) * r.factor;
}

// Blocks of whole warps, a row each. With `sorts` there is one block, and the slots are sorted too.
__global__ void route_kernel(ponder_device_router r, ponder_device_rows scores, const float* bias, ponder_device_slots slots, uint64_t n,
                             bool sorts) {
  extern __shared__ float shared[];  // per warp: n_experts choices, then n_group scores
  wait_for_previous();
  let_next_start();
  const uint64_t t = static_cast<uint64_t>(blockIdx.x) * (blockDim.x / 32) + threadIdx.x / 32;
  if (t < n) route_row(r, scores, bias, slots, t, shared);
  if (!sorts) return;
  __syncthreads();
  sort_slots(slots, static_cast<int>(n * r.top_k));
}
__global__ void sort_kernel(ponder_device_slots slots, int n_slots) {
  wait_for_previous();
  let_next_start();
  sort_slots(slots, n_slots);
}

// One block: counts, their sums, then places. Which of an expert's slots comes first is left to chance; nothing depends on it.
__device__ void sort_slots(const ponder_device_slots& slots, int n_slots) {
  __shared__ int counts[512], next[512];
  const int n_experts = static_cast<int>(slots.n_experts);
  for (int e = threadIdx.x; e < n_experts; e += blockDim.x) counts[e] = 0;
  __syncthreads();
  // Lanes with the same expert count as one: there are few experts.
  for (int base = 0; base < n_slots; base += static_cast<int>(blockDim.x)) {
    const int i = base + static_cast<int>(threadIdx.x), id = i < n_slots ? slots.ids[i] : -1;
    const unsigned same = __match_any_sync(0xffffffffu, id);
    if (id >= 0 && static_cast<int>(threadIdx.x % 32) == __ffs(static_cast<int>(same)) - 1) atomicAdd(&counts[id], __popc(same));
  }
  __syncthreads();
  if (threadIdx.x < 32) {
    int before = 0;
    for (int base = 0; base < n_experts; base += 32) {
      const int e = base + static_cast<int>(threadIdx.x), count = e < n_experts ? counts[e] : 0;
      int sum = count;
      for (int offset = 1; offset < 32; offset *= 2) {
        const int below = __shfl_up_sync(0xffffffffu, sum, offset);
        if (static_cast<int>(threadIdx.x) >= offset) sum += below;
      }
      if (e < n_experts) slots.first[e] = next[e] = before + sum - count;
      before += __shfl_sync(0xffffffffu, sum, 31);
    }
    if (threadIdx.x == 0) slots.first[n_experts] = before;
  }
  __syncthreads();
  for (int base = 0; base < n_slots; base += static_cast<int>(blockDim.x)) {
    const int i = base + static_cast<int>(threadIdx.x), id = i < n_slots ? slots.ids[i] : -1, lane = static_cast<int>(threadIdx.x % 32);
    const unsigned same = __match_any_sync(0xffffffffu, id);
    const int leader = __ffs(static_cast<int>(same)) - 1;
    int at = 0;
    if (id >= 0 && lane == leader) at = atomicAdd(&next[id], __popc(same));
    at = __shfl_sync(0xffffffffu, at, leader) + __popc(same & ((1u << lane) - 1u));
    if (id < 0) continue;
    slots.order[at] = i;
    slots.at[i] = at;
  }
}

}  // namespace

void route(ponder_queue* q, const ponder_device_router* r, ponder_device_rows scores, const float* bias, const ponder_device_slots* slots,
           uint64_t n) {
  if (r->n_experts > 32 * kMaxPerLane || r->top_k > 32) return note(q, cudaErrorNotSupported, "more than 512 experts, or 32 of a token");
  const bool few = n <= 8;
  const unsigned warps = few ? static_cast<unsigned>(n) : 4;
  launch(q, "route", route_kernel, dim3(blocks_for(n, warps)), dim3(32 * warps),
         static_cast<size_t>(warps) * (r->n_experts + r->n_group) * sizeof(float), *r, scores, bias, *slots, n, few);
  if (!few) launch(q, "sort", sort_kernel, dim3(1), dim3(n * r->top_k > 256 ? 1024 : 128), 0, *slots, static_cast<int>(n * r->top_k));
}

}  // namespace ponder::cuda
