// Causal attention of many rows of one sequence, tile by tile (FlashAttention 2, arXiv 2307.08691): 128 queries of one head per
// block, 16 for each of eight warps, over tiles of 64 keys that come by cp.async, one ahead. Products by mma.sync in bf16, sums and
// softmax in f32.
#include "kernels/base/cuda_common.cuh"

namespace ponder::cuda {

namespace {

constexpr int kThreads = 256, kQueries = 128, kKeys = 64;
constexpr float kLog2E = 1.4426950408889634f;

__device__ inline uint32_t shared_address(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }
__device__ inline void load_matrices(uint32_t (&r)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address));
}
__device__ inline void load_transposed(uint32_t (&r)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address));
}
__device__ inline void multiply(float (&c)[4], const uint32_t* a, uint32_t b0, uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ inline uint32_t pack(float low, float high) {
  const __nv_bfloat162 v = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&v);
}
__device__ inline void copy_async(uint32_t to, const void* from, bool inside) {
  const int n = inside ? 16 : 0;  // what is not read is 0
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(n));
}

template <int kKeyDims, int kValueDims>
__global__ void __launch_bounds__(kThreads, 1) attend_prefill_kernel(PrefillShape shape, ponder_device_rows out, uint64_t out_head,
                                                                     ponder_device_rows q, uint64_t q_head) {
  constexpr int kKeyStride = kKeyDims + 8, kValueStride = kValueDims + 8;  // an odd number of 16 bytes: no bank conflicts
  constexpr int kStage = kKeys * (kKeyStride + kValueStride);
  extern __shared__ __align__(128) bf16 tiles[];
  wait_for_previous();
  let_next_start();
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t2 = lane % 4 * 2;
  const int head = static_cast<int>(blockIdx.y), kv_head = head / static_cast<int>(shape.group);
  const int n_rows = static_cast<int>(shape.n_rows), n_keys = static_cast<int>(shape.n_keys), before = n_keys - n_rows;
  const int first = (static_cast<int>(gridDim.x) - 1 - static_cast<int>(blockIdx.x)) * kQueries;  // the longest first
  const int last_key = before + min(first + kQueries, n_rows) - 1, n_tiles = last_key / kKeys + 1;
  const int body = kKeyDims - static_cast<int>(shape.tail);
  const bf16* keys = static_cast<const bf16*>(shape.keys) + static_cast<uint64_t>(kv_head) * shape.key_head;
  const bf16* tails = static_cast<const bf16*>(shape.key_tails);
  const bf16* values = static_cast<const bf16*>(shape.values) + static_cast<uint64_t>(kv_head) * shape.value_head;

  const auto load_tile = [&](int tile) {
    if (tile < n_tiles) {
      bf16* to_keys = tiles + tile % 2 * kStage;
      bf16* to_values = to_keys + kKeys * kKeyStride;
#pragma unroll
      for (int i = 0; i < kKeys * kKeyDims / 8 / kThreads; ++i) {
        const int chunk = i * kThreads + static_cast<int>(threadIdx.x), r = chunk / (kKeyDims / 8), k = chunk % (kKeyDims / 8) * 8;
        const uint64_t s = static_cast<uint64_t>(min(tile * kKeys + r, n_keys - 1));
        const bf16* from = k < body ? keys + s * shape.key_stride + k : tails + s * shape.tail_stride + (k - body);
        copy_async(shared_address(to_keys + r * kKeyStride + k), from, tile * kKeys + r < n_keys);
      }
#pragma unroll
      for (int i = 0; i < kKeys * kValueDims / 8 / kThreads; ++i) {
        const int chunk = i * kThreads + static_cast<int>(threadIdx.x), r = chunk / (kValueDims / 8), k = chunk % (kValueDims / 8) * 8;
        const uint64_t s = static_cast<uint64_t>(min(tile * kKeys + r, n_keys - 1));
        copy_async(shared_address(to_values + r * kValueStride + k), values + s * shape.value_stride + k, tile * kKeys + r < n_keys);
      }
    }
    asm volatile("cp.async.commit_group;");
  };
  load_tile(0);

  uint32_t query[kKeyDims / 16][4];
  const int row0 = first + warp * 16 + g, row1 = row0 + 8;
  {
    const bf16* base = static_cast<const bf16*>(q.data) + static_cast<uint64_t>(head) * q_head;
    const bf16* a = base + static_cast<uint64_t>(min(row0, n_rows - 1)) * q.stride + t2;
    const bf16* b = base + static_cast<uint64_t>(min(row1, n_rows - 1)) * q.stride + t2;
#pragma unroll
    for (int k = 0; k < kKeyDims / 16; ++k) {
      query[k][0] = *reinterpret_cast<const uint32_t*>(a + k * 16);
      query[k][1] = *reinterpret_cast<const uint32_t*>(b + k * 16);
      query[k][2] = *reinterpret_cast<const uint32_t*>(a + k * 16 + 8);
      query[k][3] = *reinterpret_cast<const uint32_t*>(b + k * 16 + 8);
    }
  }
  float sums[kValueDims / 8][4] = {};
  const float none = __int_as_float(0xff800000), scale = shape.scale * kLog2E;
  float most[2] = {none, none}, total[2] = {};
  for (int tile = 0; tile < n_tiles; ++tile) {
    asm volatile("cp.async.wait_group 0;");
    __syncthreads();
    load_tile(tile + 1);
    const uint32_t tile_keys = shared_address(tiles + tile % 2 * kStage), tile_values = tile_keys + kKeys * kKeyStride * 2;
    float s[kKeys / 8][4] = {};
#pragma unroll
    for (int k = 0; k < kKeyDims / 16; ++k)
#pragma unroll
      for (int n = 0; n < kKeys / 16; ++n) {
        uint32_t b[4];
        load_matrices(b, tile_keys + static_cast<uint32_t>((n * 16 + lane / 16 * 8 + lane % 8) * kKeyStride + k * 16 + lane / 8 % 2 * 8) * 2);
        multiply(s[2 * n], query[k], b[0], b[1]);
        multiply(s[2 * n + 1], query[k], b[2], b[3]);
      }
    if (tile * kKeys + kKeys - 1 > before + first + warp * 16) {  // some of this warp's rows do not see all of them
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i)
          if (tile * kKeys + n * 8 + t2 + i % 2 > before + (i < 2 ? row0 : row1)) s[n][i] = none;
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float best = most[half];
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) best = fmaxf(best, fmaxf(s[n][2 * half], s[n][2 * half + 1]));
      best = fmaxf(best, __shfl_xor_sync(0xffffffffu, best, 1));
      best = fmaxf(best, __shfl_xor_sync(0xffffffffu, best, 2));
      const float shrink = exp2f((most[half] - best) * scale), offset = best * scale;
      most[half] = best;
      float sum = 0;
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
        s[n][2 * half] = exp2f(fmaf(s[n][2 * half], scale, -offset));
        s[n][2 * half + 1] = exp2f(fmaf(s[n][2 * half + 1], scale, -offset));
        sum += s[n][2 * half] + s[n][2 * half + 1];
      }
      total[half] = total[half] * shrink + sum;
#pragma unroll
      for (int n = 0; n < kValueDims / 8; ++n) sums[n][2 * half] *= shrink, sums[n][2 * half + 1] *= shrink;
    }
#pragma unroll
    for (int k = 0; k < kKeys / 16; ++k) {
      const uint32_t p[4] = {pack(s[2 * k][0], s[2 * k][1]), pack(s[2 * k][2], s[2 * k][3]), pack(s[2 * k + 1][0], s[2 * k + 1][1]),
                             pack(s[2 * k + 1][2], s[2 * k + 1][3])};
#pragma unroll
      for (int n = 0; n < kValueDims / 16; ++n) {
        uint32_t b[4];
        load_transposed(b, tile_values + static_cast<uint32_t>((k * 16 + lane % 16) * kValueStride + n * 16 + lane / 16 * 8) * 2);
        multiply(sums[2 * n], p, b[0], b[1]);
        multiply(sums[2 * n + 1], p, b[2], b[3]);
      }
    }
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float sum = total[half];
    sum += __shfl_xor_sync(0xffffffffu, sum, 1);
    sum += __shfl_xor_sync(0xffffffffu, sum, 2);
    const int row = half == 0 ? row0 : row1;
    if (row >= n_rows) continue;
    const float inverse = 1.0f / sum;
    bf16* to = static_cast<bf16*>(out.data) + static_cast<uint64_t>(row) * out.stride + static_cast<uint64_t>(head) * out_head + t2;
#pragma unroll
    for (int n = 0; n < kValueDims / 8; ++n)
      *reinterpret_cast<uint32_t*>(to + n * 8) = pack(sums[n][2 * half] * inverse, sums[n][2 * half + 1] * inverse);
  }
}

template <int kKeyDims, int kValueDims>
void go(ponder_queue* queue, const PrefillShape& shape, ponder_device_rows out, uint64_t out_head, ponder_device_rows q, uint64_t q_head) {
  launch(queue, "attend_prefill", attend_prefill_kernel<kKeyDims, kValueDims>, dim3(blocks_for(shape.n_rows, kQueries), shape.n_heads),
         dim3(kThreads), 2 * kKeys * (kKeyDims + kValueDims + 16) * sizeof(bf16), shape, out, out_head, q, q_head);
}

}  // namespace

bool attend_prefill(ponder_queue* queue, const PrefillShape& shape, ponder_device_rows out, uint64_t out_head, ponder_device_rows q, uint64_t q_head) {
  if (is_f32(q) || is_f32(out) || shape.key_stride % 8 != 0 || shape.value_stride % 8 != 0 || shape.key_head % 8 != 0 || shape.value_head % 8 != 0 ||
      q.stride % 2 != 0 || out.stride % 2 != 0)
    return false;
  if (shape.key_dims == 192 && shape.value_dims == 128) go<192, 128>(queue, shape, out, out_head, q, q_head);
  else if (shape.key_dims == 128 && shape.value_dims == 128) go<128, 128>(queue, shape, out, out_head, q, q_head);
  else if (shape.key_dims == 64 && shape.value_dims == 64) go<64, 64>(queue, shape, out, out_head, q, q_head);
  else return false;
  return true;
}

}  // namespace ponder::cuda
