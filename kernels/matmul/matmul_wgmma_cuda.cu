// Products on Hopper's tensor cores by wgmma (sm_90a), plain and grouped: bf16 weights, or fp8 weights with 128x128 block scales,
// whose activations are then rounded to fp8 with one scale for 128 channels of a row (DeepSeek-V3 report, section 3.3).
//
// One block per multiprocessor walks over tiles of 128 rows by 128 (fp8) or 256 outputs. One warp brings tiles of 128 bytes of n_in by
// the tensor copy engine, some ahead; two warpgroups multiply 64 rows each. fp8 sums are added to f32 ones after every 128 channels, with both
// scales. Rows are sorted by group; a tile's rows beyond its group are another's, and are not stored.
#include <cuda.h>

#include "kernels/base/cuda_groups.cuh"
#include "kernels/base/cuda_weights.cuh"

#if defined(__CUDACC__) && !defined(__CUDA_ARCH_FEAT_SM90_ALL)
#pragma nv_diag_suppress 177  // other devices use nothing of this
#endif

namespace ponder::cuda {

namespace {

constexpr int kRows = 128, kThreads = 384, kMaxGroups = 512, kRowTileBytes = kRows * 128;
template <bool kFp8>
struct Tiling {
  // fp8 has two sets of sums in registers, so half as many outputs.
  static constexpr int kCols = kFp8 ? 128 : 256, kStages = kFp8 ? 6 : 4, kSums = kCols / 2;
  static constexpr int kStageBytes = kRowTileBytes + kCols * 128;
  static constexpr size_t kSharedBytes = kStages * kStageBytes + 1024;
};

#ifdef __CUDACC__

__device__ inline uint32_t shared_address(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }
__device__ inline void barrier_init(uint32_t barrier, uint32_t count) { asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count)); }
__device__ inline void barrier_expect(uint32_t barrier, uint32_t n_bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(n_bytes) : "memory");
}
__device__ inline void barrier_arrive(uint32_t barrier) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory"); }
__device__ inline void barrier_wait(uint32_t barrier, uint32_t parity) {
  uint32_t done = 0;
  while (!done)
    asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}\n" : "=r"(done) : "r"(barrier), "r"(parity) : "memory");
}
__device__ inline void copy_tile(uint32_t to, const CUtensorMap* map, uint32_t barrier, int k, int row, int matrix) {
  asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];" ::"r"(to),
               "l"(map), "r"(barrier), "r"(k), "r"(row), "r"(matrix) : "memory");
}

// A tile of 128 rows of 128 bytes as the copy engine lays it out: swizzled by 128 bytes, 8 rows in 1024.
__device__ inline uint64_t describe(uint32_t address) {
  return static_cast<uint64_t>((address & 0x3ffff) >> 4) | uint64_t{1} << 16 | uint64_t{64} << 32 | uint64_t{1} << 62;
}

#define PONDER_REGS4(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define PONDER_REGS16(d, i) PONDER_REGS4(d, i), PONDER_REGS4(d, i + 4), PONDER_REGS4(d, i + 8), PONDER_REGS4(d, i + 12)
#define PONDER_REGS64(d, i) PONDER_REGS16(d, i), PONDER_REGS16(d, i + 16), PONDER_REGS16(d, i + 32), PONDER_REGS16(d, i + 48)
#define PONDER_NAMES64 \
  "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29" \
  ",%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%" \
  "57,%58,%59,%60,%61,%62,%63}" 
#define PONDER_NAMES128 \
  "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29" \
  ",%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%" \
  "57,%58,%59,%60,%61,%62,%63,%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,%83,%84" \
  ",%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95,%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109" \
  ",%110,%111,%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127}" 

// d [64 x kCols] (+)= a [64 x 32 bytes] b [kCols x 32 bytes]^T
__device__ inline void multiply(float (&d)[64], uint64_t a, uint64_t b, int accumulate) {  // fp8
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\nwgmma.mma_async.sync.aligned.m64n128k32.f32.e4m3.e4m3 " PONDER_NAMES64
               ", %64, %65, p, 1, 1;\n}\n" : PONDER_REGS64(d, 0) : "l"(a), "l"(b), "r"(accumulate));
#endif
}
__device__ inline void multiply(float (&d)[128], uint64_t a, uint64_t b, int accumulate) {  // bf16
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %130, 0;\nwgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 " PONDER_NAMES128
               ", %128, %129, p, 1, 1, 0, 0;\n}\n" : PONDER_REGS64(d, 0), PONDER_REGS64(d, 64) : "l"(a), "l"(b), "r"(accumulate));
#endif
}
template <int N>
__device__ inline void hold(float (&d)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) asm volatile("" : "+f"(d[i])::"memory");
}
__device__ inline void begin_products() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}
__device__ inline void commit_products() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#endif
}
template <int kLeft>
__device__ inline void wait_products() {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kLeft) : "memory");
#endif
}

struct Walk {  // tiles of one block, in order
  int n_col_tiles, n_tiles, group, n_groups;
  const int* first_tile;  // [n_groups + 1], of row tiles
  const int* first_row;   // [n_groups + 1]
  int n_cols;             // of a tile
  // Of tile t: the group, the first row, its end, the first output.
  __device__ void find(int t, int& row, int& end, int& col) {
    while (t >= first_tile[group + 1] * n_col_tiles) ++group;
    const int row_tiles = first_tile[group + 1] - first_tile[group], at = t - first_tile[group] * n_col_tiles;
    row = first_row[group] + at % row_tiles * kRows;
    end = first_row[group + 1];
    col = at / row_tiles * n_cols;
  }
};

struct Output {
  ponder_device_rows y;
  uint32_t accumulate;
  int n_out;
};

// Two neighbouring values of row `row`.
__device__ inline void store_pair(const Output& o, int row, int col, float a, float b) {
  const uint64_t at = static_cast<uint64_t>(row) * o.y.stride + static_cast<uint64_t>(col);
  if (o.y.type == PONDER_TYPE_F32) {
    float* to = static_cast<float*>(o.y.data) + at;
    if (o.accumulate) a += to[0], b += to[1];
    to[0] = a, to[1] = b;
  } else {
    *reinterpret_cast<__nv_bfloat162*>(static_cast<bf16*>(o.y.data) + at) = __floats2bfloat162_rn(a, b);
  }
}

template <bool kFp8>
__global__ void __launch_bounds__(kThreads, 1) wgmma_kernel(const __grid_constant__ CUtensorMap x_map, const __grid_constant__ CUtensorMap w_map,
                                                            Output output, Groups groups, const float* x_scales, uint64_t x_scale_stride,
                                                            const float* w_scales, uint64_t w_stack_scales, int n_in) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  constexpr int kDepth = kFp8 ? 128 : 64;  // elements of a tile's 128 bytes
  constexpr int kCols = Tiling<kFp8>::kCols, kStages = Tiling<kFp8>::kStages, kStageBytes = Tiling<kFp8>::kStageBytes;
  constexpr int kTileBytes = kRowTileBytes, kSums = Tiling<kFp8>::kSums;
  extern __shared__ unsigned char memory_at_will[];
  __shared__ __align__(8) uint64_t barriers[2 * kStages];
  __shared__ int first_tile[kMaxGroups + 1], first_row[kMaxGroups + 1], sums[12];
  const uint32_t memory = (shared_address(memory_at_will) + 1023) / 1024 * 1024;
  const auto full = [&](int stage) { return shared_address(&barriers[stage]); };
  const auto empty = [&](int stage) { return shared_address(&barriers[kStages + stage]); };
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      barrier_init(full(i), 1);
      barrier_init(empty(i), 8);  // each multiplying warp is done with it
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  wait_for_previous();
  let_next_start();
  const int n_groups = static_cast<int>(groups.n_groups), n_k = n_in / kDepth;
  {  // row tiles of each group, and their sums
    int before = 0;
    for (int base = 0; base < n_groups; base += kThreads) {
      const int e = base + static_cast<int>(threadIdx.x), lane = threadIdx.x % 32, warp = threadIdx.x / 32;
      const int begin = e >= n_groups ? 0 : groups.first ? groups.first[e] : 0;
      const int end = e >= n_groups ? 0 : groups.first ? groups.first[e + 1] : static_cast<int>(groups.n);
      const int tiles = (end - begin + kRows - 1) / kRows;
      int sum = tiles;
      for (int offset = 1; offset < 32; offset *= 2) {
        const int below = __shfl_up_sync(0xffffffffu, sum, offset);
        if (lane >= offset) sum += below;
      }
      if (lane == 31) sums[warp] = sum;
      __syncthreads();
      int all = 0;
      for (int i = 0; i < kThreads / 32; ++i) {
        if (i < warp) sum += sums[i];
        all += sums[i];
      }
      if (e < n_groups) {
        first_tile[e] = before + sum - tiles;
        first_row[e] = begin;
        if (e == n_groups - 1) first_tile[n_groups] = before + sum, first_row[n_groups] = end;
      }
      before += all;
      __syncthreads();
    }
  }
  Walk walk{(output.n_out + kCols - 1) / kCols, 0, 0, n_groups, first_tile, first_row, kCols};
  walk.n_tiles = first_tile[n_groups] * walk.n_col_tiles;

  const int warpgroup = static_cast<int>(threadIdx.x) / 128;
  int stage = 0;
  uint32_t parity = 0;
  const auto next_stage = [&] {
    if (++stage == kStages) stage = 0, parity ^= 1;
  };
  if (warpgroup == 2) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    if (threadIdx.x == 256) {
      for (int t = static_cast<int>(blockIdx.x); t < walk.n_tiles; t += static_cast<int>(gridDim.x)) {
        int row, end, col;
        walk.find(t, row, end, col);
        for (int k = 0; k < n_k; ++k, next_stage()) {
          barrier_wait(empty(stage), parity ^ 1);
          barrier_expect(full(stage), kStageBytes);
          const uint32_t to = memory + static_cast<uint32_t>(stage * kStageBytes);
          copy_tile(to, &x_map, full(stage), k * kDepth, row, 0);
          copy_tile(to + kTileBytes, &w_map, full(stage), k * kDepth, col, walk.group);
        }
      }
    }
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    const int lane = threadIdx.x % 32, warp = threadIdx.x % 128 / 32, local = warpgroup * 64 + warp * 16 + lane / 4;
    const bool leads = lane == 0;
    for (int t = static_cast<int>(blockIdx.x); t < walk.n_tiles; t += static_cast<int>(gridDim.x)) {
      int row, end, col;
      walk.find(t, row, end, col);
      if (row + warpgroup * 64 >= end) {  // none of this half's rows: its tiles are let go of
        for (int k = 0; k < n_k; ++k, next_stage()) {
          barrier_wait(full(stage), parity);
          if (leads) barrier_arrive(empty(stage));
        }
        continue;
      }
      float total[kSums];
      if constexpr (kFp8) {
        const float* of_rows = x_scales + row + local;  // rows are padded to whole tiles
        const float* of_cols = w_scales + static_cast<uint64_t>(walk.group) * w_stack_scales + static_cast<uint64_t>(col / 128) * static_cast<uint64_t>(n_k);
#pragma unroll
        for (int i = 0; i < 64; ++i) total[i] = 0;
        for (int k = 0; k < n_k; ++k, next_stage()) {
          const float w_scale = __ldg(of_cols + k);
          const float scale0 = __ldg(of_rows + static_cast<uint64_t>(k) * x_scale_stride) * w_scale;
          const float scale1 = __ldg(of_rows + static_cast<uint64_t>(k) * x_scale_stride + 8) * w_scale;
          barrier_wait(full(stage), parity);
          float part[64];
          const uint32_t a = memory + static_cast<uint32_t>(stage * kStageBytes + warpgroup * 64 * 128), b = memory + static_cast<uint32_t>(stage * kStageBytes + kTileBytes);
          const uint64_t a_tile = describe(a), b_tile = describe(b);
          hold(part);
          begin_products();
#pragma unroll
          for (int i = 0; i < 4; ++i) multiply(part, a_tile + 2 * i, b_tile + 2 * i, i > 0);
          commit_products();
          hold(part);
          wait_products<0>();
          hold(part);
          if (leads) barrier_arrive(empty(stage));
#pragma unroll
          for (int j = 0; j < 16; ++j) {
            total[4 * j] = fmaf(part[4 * j], scale0, total[4 * j]);
            total[4 * j + 1] = fmaf(part[4 * j + 1], scale0, total[4 * j + 1]);
            total[4 * j + 2] = fmaf(part[4 * j + 2], scale1, total[4 * j + 2]);
            total[4 * j + 3] = fmaf(part[4 * j + 3], scale1, total[4 * j + 3]);
          }
        }
      } else {
        int before = 0;  // the stage that is being multiplied and was not given back
        for (int k = 0; k < n_k; ++k, next_stage()) {
          barrier_wait(full(stage), parity);
          const uint32_t a = memory + static_cast<uint32_t>(stage * kStageBytes + warpgroup * 64 * 128), b = memory + static_cast<uint32_t>(stage * kStageBytes + kTileBytes);
          const uint64_t a_tile = describe(a), b_tile = describe(b);
          hold(total);
          begin_products();
#pragma unroll
          for (int i = 0; i < 4; ++i) multiply(total, a_tile + 2 * i, b_tile + 2 * i, k > 0 || i > 0);
          commit_products();
          hold(total);
          wait_products<1>();
          if (leads && k > 0) barrier_arrive(empty(before));
          before = stage;
        }
        wait_products<0>();
        hold(total);
        if (leads) barrier_arrive(empty(before));
      }
      const int first_col = col + lane % 4 * 2, row0 = row + local, row1 = row0 + 8;
      const bool whole = output.y.type == PONDER_TYPE_BF16 && col + kCols <= output.n_out && output.y.stride % 8 == 0 &&
                         (reinterpret_cast<uintptr_t>(output.y.data) & 15) == 0;
      if (whole) {  // four lanes exchange pairs, so that each has eight neighbours to store
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int r = half ? row1 : row0;
#pragma unroll
          for (int j = 0; j < kSums / 4; j += 4) {
            uint32_t own[4], all[4];
#pragma unroll
            for (int i = 0; i < 4; ++i) {
              const __nv_bfloat162 v = __floats2bfloat162_rn(total[4 * (j + i) + 2 * half], total[4 * (j + i) + 2 * half + 1]);
              own[i] = *reinterpret_cast<const uint32_t*>(&v);
            }
            const int me = lane % 4;
#pragma unroll
            for (int s = 0; s < 4; ++s) {  // from lane me ^ s its pair of block `me`
              const int give = me ^ s;
              const uint32_t value = give == 0 ? own[0] : give == 1 ? own[1] : give == 2 ? own[2] : own[3];
              const uint32_t got = __shfl_xor_sync(0xffffffffu, value, s);
              const int of = me ^ s;
              all[0] = of == 0 ? got : all[0], all[1] = of == 1 ? got : all[1], all[2] = of == 2 ? got : all[2], all[3] = of == 3 ? got : all[3];
            }
            if (r < end)
              *reinterpret_cast<uint4*>(static_cast<bf16*>(output.y.data) + static_cast<uint64_t>(r) * output.y.stride + col + (j + me) * 8) =
                  make_uint4(all[0], all[1], all[2], all[3]);
          }
        }
        continue;
      }
#pragma unroll
      for (int j = 0; j < kSums / 4; ++j) {
        const int c = first_col + 8 * j;
        if (c + 1 >= output.n_out) continue;  // n_out is even
        if (row0 < end) store_pair(output, row0, c, total[4 * j], total[4 * j + 1]);
        if (row1 < end) store_pair(output, row1, c, total[4 * j + 2], total[4 * j + 3]);
      }
    }
  }
#endif
}

// Rows in the groups' order: copied, or rounded to fp8 with scales [n_in / 128][stride]. A warp takes 128 elements of a row.
template <bool kFp8>
__global__ void sort_rows_kernel(void* to, float* scales, uint64_t scale_stride, ponder_device_rows x, Groups groups, int n_in) {
  wait_for_previous();
  let_next_start();
  const int lane = threadIdx.x % 32, blocks = (n_in + 127) / 128;
  const uint64_t row = blockIdx.x;
  const bf16* from = static_cast<const bf16*>(x.data) + group_source(groups, static_cast<int>(row)) * x.stride;
  for (int block = static_cast<int>(threadIdx.x) / 32; block < blocks; block += static_cast<int>(blockDim.x) / 32) {
    const int k = block * 128 + lane * 4;
    if (k >= n_in) continue;
    const uint2 bits = *reinterpret_cast<const uint2*>(from + k);
    if constexpr (!kFp8) {
      *reinterpret_cast<uint2*>(static_cast<bf16*>(to) + row * static_cast<uint64_t>(n_in) + k) = bits;
    } else {
      float v[4] = {__uint_as_float(bits.x << 16), __uint_as_float(bits.x & 0xffff0000u), __uint_as_float(bits.y << 16),
                    __uint_as_float(bits.y & 0xffff0000u)};
      const float most = warp_max(fmaxf(fmaxf(fabsf(v[0]), fabsf(v[1])), fmaxf(fabsf(v[2]), fabsf(v[3]))));
      const float scale = fmaxf(most, 1e-10f) / 448.0f, inverse = 1.0f / scale;
      const uint32_t low = __nv_cvt_float2_to_fp8x2(make_float2(v[0] * inverse, v[1] * inverse), __NV_SATFINITE, __NV_E4M3);
      const uint32_t high = __nv_cvt_float2_to_fp8x2(make_float2(v[2] * inverse, v[3] * inverse), __NV_SATFINITE, __NV_E4M3);
      *reinterpret_cast<uint32_t*>(static_cast<uint8_t*>(to) + row * static_cast<uint64_t>(n_in) + k) = low | high << 16;
      if (lane == 0) scales[static_cast<uint64_t>(block) * scale_stride + row] = scale;
    }
  }
}

#endif

// [n_matrices, n_rows, n_in] in tiles of tile_rows by 128 bytes.
bool make_map(ponder_queue* q, CUtensorMap* map, bool fp8, uint32_t tile_rows, const void* data, uint64_t n_in, uint64_t n_rows, uint64_t row_bytes, uint64_t n_matrices,
              uint64_t stack_bytes) {
  const auto encode = reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(q->device->tensor_map_encode);
  const cuuint64_t sizes[3] = {n_in, n_rows, n_matrices}, strides[2] = {row_bytes, stack_bytes};
  const cuuint32_t box[3] = {fp8 ? 128u : 64u, tile_rows, 1}, steps[3] = {1, 1, 1};
  return encode(map, fp8 ? CU_TENSOR_MAP_DATA_TYPE_UINT8 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, const_cast<void*>(data), sizes, strides, box, steps,
                CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

}  // namespace

bool matmul_wgmma(ponder_queue* q, ponder_device_rows y, ponder_device_rows x, const ponder_device_matrix& w, uint32_t accumulate,
                  const Groups& groups) {
  const bool fp8 = w.type == PONDER_TYPE_F8_E4M3;
  if (q->device->compute_capability != 90 || !q->device->tensor_map_encode || (!fp8 && w.type != PONDER_TYPE_BF16) || is_f32(x)) return false;
  if (w.n_in % (fp8 ? 128 : 64) != 0 || w.n_out % 2 != 0 || groups.n_groups > kMaxGroups || x.stride % 8 != 0 || y.stride % 2 != 0 ||
      reinterpret_cast<uintptr_t>(x.data) % 16 != 0 || reinterpret_cast<uintptr_t>(y.data) % 8 != 0 || (accumulate && !is_f32(y)))
    return false;
  if (q->error != cudaSuccess) return true;
  const int n_in = static_cast<int>(w.n_in);
  const uint64_t scale_stride = (groups.n + kRows + 127) / 128 * 128;
  const void* rows = x.data;
  uint64_t row_bytes = x.stride * 2;
  float* scales = nullptr;
  if (fp8 || groups.order) {
    row_bytes = w.n_in * (fp8 ? 1 : 2);
    void* sorted = scratch(q, 4, groups.n * row_bytes);
    if (fp8) scales = static_cast<float*>(scratch(q, 5, w.n_in / 128 * scale_stride * sizeof(float)));
    if (!sorted || (fp8 && !scales)) return true;
    const dim3 grid(static_cast<unsigned>(groups.n)), block(n_in >= 1024 ? 256 : 64);
    if (fp8) launch(q, "fp8 rows", sort_rows_kernel<true>, grid, block, 0, sorted, scales, scale_stride, x, groups, n_in);
    else launch(q, "rows", sort_rows_kernel<false>, grid, block, 0, sorted, scales, scale_stride, x, groups, n_in);
    rows = sorted;
  }
  CUtensorMap x_map, w_map;
  if (!make_map(q, &x_map, fp8, kRows, rows, w.n_in, groups.n, row_bytes, 1, row_bytes * groups.n) ||
      !make_map(q, &w_map, fp8, fp8 ? 128 : 256, w.data, w.n_in, w.n_out, w.row_bytes, w.n_stacked, w.stack_bytes ? w.stack_bytes : w.row_bytes * w.n_out)) {
    note(q, cudaErrorInvalidValue, "a tensor map");
    return true;
  }
  const Output output{y, accumulate, static_cast<int>(w.n_out)};
  const dim3 grid(static_cast<unsigned>(q->device->n_sms)), block(kThreads);
  if (fp8)
    launch(q, "matmul fp8", wgmma_kernel<true>, grid, block, Tiling<true>::kSharedBytes, x_map, w_map, output, groups, static_cast<const float*>(scales), scale_stride,
           w.scale_inv, w.stack_scales, n_in);
  else
    launch(q, "matmul bf16", wgmma_kernel<false>, grid, block, Tiling<false>::kSharedBytes, x_map, w_map, output, groups, static_cast<const float*>(nullptr),
           scale_stride, static_cast<const float*>(nullptr), w.stack_scales, n_in);
  return true;
}

}  // namespace ponder::cuda
