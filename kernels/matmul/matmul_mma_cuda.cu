// Products on tensor cores by mma.sync (sm_80 and later), also grouped: weights of any type become bf16 on their way to shared
// memory. Tiles of kRows rows by 128 outputs, 64 elements of n_in at a time, the next of them loaded while one is multiplied.
#include "kernels/base/cuda_groups.cuh"
#include "kernels/base/cuda_weights.cuh"

namespace ponder::cuda {

namespace {

constexpr int kCols = 128, kDepth = 64, kThreads = 256;

__device__ inline uint32_t shared_address(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }
__device__ inline void load_matrices(uint32_t (&r)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address));
}
__device__ inline void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ inline uint4 to_bf16(const float (&v)[8]) {
  uint4 out;
  __nv_bfloat162* pairs = reinterpret_cast<__nv_bfloat162*>(&out);
#pragma unroll
  for (int i = 0; i < 4; ++i) pairs[i] = __floats2bfloat162_rn(v[2 * i], v[2 * i + 1]);
  return out;
}
// Eight elements, chunk c of 8 in row r of a tile of 64 columns: chunks are swapped by row, so that eight rows meet all banks.
__device__ inline int tile_at(int r, int c) { return r * kDepth + ((c ^ (r & 7)) * 8); }

template <uint32_t Type, int kRows>
__global__ void __launch_bounds__(kThreads) matmul_mma_kernel(ponder_device_rows y, ponder_device_rows x, ponder_device_matrix w,
                                                              const float* bias, uint32_t accumulate, Groups groups) {
  constexpr int kWarpsM = kRows / 32, kWarpsN = 8 / kWarpsM, kWarpCols = kCols / kWarpsN;
  constexpr int kLoadsX = kRows * kDepth / 8 / kThreads, kLoadsW = kCols * kDepth / 8 / kThreads;
  __shared__ __align__(128) bf16 xs[kRows * kDepth];
  __shared__ __align__(128) bf16 ws[kCols * kDepth];
  __shared__ int found[36];
  wait_for_previous();
  let_next_start();
  const GroupTile tile = find_group_tile(groups, kRows, static_cast<int>(blockIdx.y), found);
  if (tile.group < 0) return;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warp_m = warp % kWarpsM, warp_n = warp / kWarpsM;
  const int first_col = static_cast<int>(blockIdx.x) * kCols, n_out = static_cast<int>(w.n_out);
  const uint32_t n_in = static_cast<uint32_t>(w.n_in);

  const bf16* x_rows[kLoadsX];
#pragma unroll
  for (int i = 0; i < kLoadsX; ++i) {
    const int r = (i * kThreads + static_cast<int>(threadIdx.x)) / 8;
    x_rows[i] = r < tile.n_rows ? static_cast<const bf16*>(x.data) + group_source(groups, tile.first_row + r) * x.stride : nullptr;
  }
  uint4 x_next[kLoadsX], w_next[kLoadsW];
  const auto load_next = [&](uint32_t base) {
    const uint32_t k = base + threadIdx.x % 8 * 8;
#pragma unroll
    for (int i = 0; i < kLoadsX; ++i) {
      x_next[i] = make_uint4(0, 0, 0, 0);
      if (!x_rows[i] || k >= n_in) continue;
      if (k + 8 <= n_in) {
        x_next[i] = *reinterpret_cast<const uint4*>(x_rows[i] + k);
      } else {
        float v[8];
#pragma unroll
        for (int j = 0; j < 8; ++j) v[j] = k + j < n_in ? __bfloat162float(x_rows[i][k + j]) : 0.0f;
        x_next[i] = to_bf16(v);
      }
    }
#pragma unroll
    for (int i = 0; i < kLoadsW; ++i) {
      const int r = first_col + (i * kThreads + static_cast<int>(threadIdx.x)) / 8;
      w_next[i] = make_uint4(0, 0, 0, 0);
      if (r >= n_out || k >= n_in) continue;
      const uint64_t e = static_cast<uint64_t>(tile.group), row = static_cast<uint64_t>(r);
      if (Type == PONDER_TYPE_BF16 && k + 8 <= n_in) {
        w_next[i] = *reinterpret_cast<const uint4*>(matrix_row(w, e, row) + 2 * k);
      } else {
        float v[8];
        load8_or_0<Type>(v, matrix_row(w, e, row), matrix_scales(w, e, row), k, n_in);
        w_next[i] = to_bf16(v);
      }
    }
  };

  float sums[2][kWarpCols / 8][4] = {};
  load_next(0);
  for (uint32_t base = 0; base < n_in; base += kDepth) {
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kLoadsX; ++i)
      *reinterpret_cast<uint4*>(xs + tile_at((i * kThreads + static_cast<int>(threadIdx.x)) / 8, threadIdx.x % 8)) = x_next[i];
#pragma unroll
    for (int i = 0; i < kLoadsW; ++i)
      *reinterpret_cast<uint4*>(ws + tile_at((i * kThreads + static_cast<int>(threadIdx.x)) / 8, threadIdx.x % 8)) = w_next[i];
    __syncthreads();
    if (base + kDepth < n_in) load_next(base + kDepth);
#pragma unroll
    for (int k = 0; k < kDepth / 16; ++k) {
      uint32_t a[2][4];
#pragma unroll
      for (int m = 0; m < 2; ++m)
        load_matrices(a[m], shared_address(xs + tile_at(warp_m * 32 + m * 16 + lane % 16, 2 * k + lane / 16)));
#pragma unroll
      for (int n = 0; n < kWarpCols / 16; ++n) {
        uint32_t b[4];
        load_matrices(b, shared_address(ws + tile_at(warp_n * kWarpCols + n * 16 + lane / 16 * 8 + lane % 8, 2 * k + lane / 8 % 2)));
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          multiply(sums[m][2 * n], a[m], b[0], b[1]);
          multiply(sums[m][2 * n + 1], a[m], b[2], b[3]);
        }
      }
    }
  }

#pragma unroll
  for (int m = 0; m < 2; ++m)
#pragma unroll
    for (int n = 0; n < kWarpCols / 8; ++n)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int r = warp_m * 32 + m * 16 + half * 8 + lane / 4;
        const int col = first_col + warp_n * kWarpCols + n * 8 + lane % 4 * 2;
        if (r >= tile.n_rows) continue;
        const uint64_t row = static_cast<uint64_t>(tile.first_row + r);
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          if (col + i >= n_out) continue;
          float value = sums[m][n][2 * half + i];
          if (bias) value += bias[col + i];
          if (accumulate) value += load(y, row, static_cast<uint64_t>(col + i));
          store(y, row, static_cast<uint64_t>(col + i), value);
        }
      }
}

}  // namespace

void matmul_mma(ponder_queue* q, ponder_device_rows y, ponder_device_rows x, const ponder_device_matrix& w, const float* bias,
                uint32_t accumulate, const Groups& groups) {
  const uint64_t per_group = groups.n / groups.n_groups;
  with_type(w.type, [&](auto type) {
    const unsigned cols = blocks_for(w.n_out, kCols);
    if (per_group > 32)
      launch(q, "matmul", matmul_mma_kernel<decltype(type)::value, 128>, dim3(cols, most_group_tiles(groups, 128)), dim3(kThreads), 0, y, x, w,
             bias, accumulate, groups);
    else
      launch(q, "matmul", matmul_mma_kernel<decltype(type)::value, 32>, dim3(cols, most_group_tiles(groups, 32)), dim3(kThreads), 0, y, x, w,
             bias, accumulate, groups);
  });
}

}  // namespace ponder::cuda
