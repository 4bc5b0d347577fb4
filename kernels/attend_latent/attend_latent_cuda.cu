// Absorbed MLA for decoding: every row of the pass over its own sequence's latents (rank 512, rotated part 64), which are read
// once for 16 heads. The tiles (cache blocks of 64 tokens) of all rows form one list that is cut into equal parts, one for each
// multiprocessor, whatever the lengths; rows that are cut are merged by a second kernel. Tiles come by cp.async, two ahead.
// (Copies of single rows by the bulk copy engine were a quarter slower.)
//
// Eight warps: for the scores each takes eight tokens of a tile and keeps the queries of all 16 heads in registers; for the values
// each takes 64 of the 512 columns.
#include "kernels/base/cuda_common.cuh"

namespace ponder::cuda {

namespace {

constexpr int kThreads = 256, kHeads = 16, kTokens = 64, kRank = 512, kKey = 576;
constexpr int kStride = kKey + 8;        // elements of a row in shared memory: an odd number of 16 bytes, so no bank conflicts
constexpr int kScoreStride = kTokens + 4;
constexpr int kStageBytes = kTokens * kStride * 2;
constexpr int kScoreBytes = kHeads * kScoreStride * 4;
constexpr float kLog2E = 1.4426950408889634f;

__device__ inline uint32_t shared_address(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }
__device__ inline void load_matrices(uint32_t (&r)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address));
}
__device__ inline void load_transposed(uint32_t (&r)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address));
}
template <class T>
__device__ inline void multiply(float (&c)[4], const uint32_t* a, uint32_t b0, uint32_t b1) {
  if constexpr (sizeof(T) == 2 && !__is_same(T, __half))
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
template <class T>
__device__ inline uint32_t pack(float low, float high) {
  if constexpr (__is_same(T, __half)) {
    const __half2 v = __floats2half2_rn(low, high);
    return *reinterpret_cast<const uint32_t*>(&v);
  } else {
    const __nv_bfloat162 v = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const uint32_t*>(&v);
  }
}
// Two bf16 of the queries as two T.
template <class T>
__device__ inline uint32_t query_pair(const bf16* p) {
  const uint32_t bits = *reinterpret_cast<const uint32_t*>(p);
  if constexpr (!__is_same(T, __half)) return bits;
  else return pack<T>(__uint_as_float(bits << 16), __uint_as_float(bits & 0xffff0000u));
}
__device__ inline void copy_async(uint32_t to, const void* from, bool inside) {
  const int n = inside ? 16 : 0;  // what is not read is 0
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(n));
}

__device__ inline int tiles_of(const ponder_device_cache& c, int row) { return c.positions[row] / kTokens + 1; }

// Which tiles there are: all, and those before row `row`. Every thread of the block calls it; `shared` has 66 ints.
struct Tiles {
  int all, before;
};
__device__ inline Tiles count_tiles(const ponder_device_cache& c, int row, int* shared) {
  int all = 0, before = 0;
  for (int i = threadIdx.x; i < static_cast<int>(c.n_rows); i += blockDim.x) {
    const int n = tiles_of(c, i);
    all += n;
    if (i < row) before += n;
  }
  for (int offset = 16; offset > 0; offset /= 2) {
    all += __shfl_xor_sync(0xffffffffu, all, offset);
    before += __shfl_xor_sync(0xffffffffu, before, offset);
  }
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = all, shared[33 + threadIdx.x / 32] = before;
  __syncthreads();
  Tiles tiles{0, 0};
  for (unsigned i = 0; i < blockDim.x / 32; ++i) tiles.all += shared[i], tiles.before += shared[33 + i];
  __syncthreads();
  return tiles;
}
// The row that tile `tile` belongs to, and its number there. One thread after the other sums up a slice of the rows.
__device__ inline void find_tile(const ponder_device_cache& c, int tile, int* shared, int& row, int& at) {
  const int n = static_cast<int>(c.n_rows), per_thread = (n + kThreads - 1) / kThreads;
  const int begin = min(n, static_cast<int>(threadIdx.x) * per_thread), end = min(n, begin + per_thread);
  int sum = 0;
  for (int i = begin; i < end; ++i) sum += tiles_of(c, i);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int before = sum;
  for (int offset = 1; offset < 32; offset *= 2) {
    const int below = __shfl_up_sync(0xffffffffu, before, offset);
    if (lane >= offset) before += below;
  }
  if (lane == 31) shared[warp] = before;
  __syncthreads();
  for (int i = 0; i < warp; ++i) before += shared[i];
  before -= sum;
  if (tile >= before && tile < before + sum) {
    int i = begin;
    while (tile >= before + tiles_of(c, i)) before += tiles_of(c, i++);
    shared[40] = i;
    shared[41] = tile - before;
  }
  __syncthreads();
  row = shared[40];
  at = shared[41];
  __syncthreads();
}

// A part of one tile takes longer to merge than to compute.
__device__ inline int tiles_per_part(int n_tiles, int n_parts) { return max(2, (n_tiles + n_parts - 1) / n_parts); }

// A place in the list of tiles, and the address of its cache rows, which is read one tile ahead.
struct Cursor {
  int row, at, n_tiles, length, first_block;
  const char* rows;
  __device__ void enter(const ponder_device_cache& c, int r, int tile) {
    row = r;
    at = tile;
    length = c.positions[r] + 1;
    n_tiles = (length + kTokens - 1) / kTokens;
    first_block = c.first_block[c.row_sequence[r]];
    read(c);
  }
  __device__ void read(const ponder_device_cache& c) { rows = static_cast<const char*>(c.blocks[first_block + at]) + c.layer_bytes; }
  __device__ void advance(const ponder_device_cache& c) {
    if (++at < n_tiles) return read(c);
    if (row + 1 < static_cast<int>(c.n_rows)) enter(c, row + 1, 0);
  }
};

// partial [2 * parts][heads][512] and stats [2 * parts][heads][2] (maximum in base 2, sum): of part p, entry 2 p is of the row that
// began before it, 2 p + 1 of the row that goes on behind it.
template <class T, int kStages>
__global__ void __launch_bounds__(kThreads, 1) attend_latent_kernel(ponder_device_cache c, ponder_device_rows out, ponder_device_rows q,
                                                                    int n_heads, float scale, float* partial, float* stats) {
  extern __shared__ __align__(128) unsigned char memory[];
  float* scores = reinterpret_cast<float*>(memory + kStages * kStageBytes);
  wait_for_previous();
  let_next_start();
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t2 = lane % 4 * 2;
  const int first_head = static_cast<int>(blockIdx.y) * kHeads, part = static_cast<int>(blockIdx.x);
  int* ints = reinterpret_cast<int*>(scores);
  const Tiles tiles = count_tiles(c, 0, ints);
  const int per_part = tiles_per_part(tiles.all, static_cast<int>(gridDim.x));
  const int first_tile = part * per_part, n_tiles = min(per_part, tiles.all - first_tile);
  if (n_tiles <= 0) return;
  int start_row, start_at;
  find_tile(c, first_tile, ints, start_row, start_at);

  Cursor ahead;
  ahead.enter(c, start_row, start_at);
  int n_loaded = 0;
  const auto load_tile = [&] {  // the next one, or nothing
    if (n_loaded < n_tiles) {
      const int n_rows = min(kTokens, ahead.length - ahead.at * kTokens);
      const uint32_t to = shared_address(memory + n_loaded % kStages * kStageBytes);
      const char* from = ahead.rows;
#pragma unroll
      for (int i = 0; i < kTokens * (kKey / 8) / kThreads; ++i) {
        const int chunk = i * kThreads + static_cast<int>(threadIdx.x), r = chunk / (kKey / 8), k = chunk % (kKey / 8);
        copy_async(to + static_cast<uint32_t>(r * kStride + k * 8) * 2, from + (static_cast<size_t>(r) * kKey + k * 8) * 2, r < n_rows);
      }
      ++n_loaded;
      if (n_loaded < n_tiles) ahead.advance(c);
    }
    asm volatile("cp.async.commit_group;");
  };
#pragma unroll
  for (int i = 0; i < kStages - 1; ++i) load_tile();

  uint32_t query[kKey / 16][4];
  float sums[8][4], most[2], total[2];
  int row = start_row, at = start_at, segment_start = start_at, length = 0, row_tiles = 0;
  bool fresh = true;
  for (int i = 0; i < n_tiles; ++i) {
    if (fresh) {
      length = c.positions[row] + 1;
      row_tiles = (length + kTokens - 1) / kTokens;
      const bf16* base = static_cast<const bf16*>(q.data) + static_cast<uint64_t>(row) * q.stride + static_cast<uint64_t>(first_head) * kKey;
#pragma unroll
      for (int k = 0; k < kKey / 16; ++k) {
        query[k][0] = query_pair<T>(base + g * kKey + k * 16 + t2);
        query[k][1] = query_pair<T>(base + (g + 8) * kKey + k * 16 + t2);
        query[k][2] = query_pair<T>(base + g * kKey + k * 16 + 8 + t2);
        query[k][3] = query_pair<T>(base + (g + 8) * kKey + k * 16 + 8 + t2);
      }
#pragma unroll
      for (int n = 0; n < 8; ++n) sums[n][0] = sums[n][1] = sums[n][2] = sums[n][3] = 0;
      most[0] = most[1] = __int_as_float(0xff800000);
      total[0] = total[1] = 0;
      fresh = false;
    }
    asm volatile("cp.async.wait_group %0;" ::"n"(kStages - 2));
    __syncthreads();
    load_tile();

    const unsigned char* stage = memory + i % kStages * kStageBytes;
    {
      float even[4] = {}, odd[4] = {};
      const uint32_t rows = shared_address(stage) + static_cast<uint32_t>((warp * 8 + lane % 8) * kStride + lane / 8 * 8) * 2;
#pragma unroll
      for (int k = 0; k < kKey / 32; ++k) {
        uint32_t b[4];
        load_matrices(b, rows + static_cast<uint32_t>(k) * 64);
        multiply<T>(even, query[2 * k], b[0], b[1]);
        multiply<T>(odd, query[2 * k + 1], b[2], b[3]);
      }
      const int token = warp * 8 + t2, position = at * kTokens + token;
      const float none = __int_as_float(0xff800000);
      const bool in0 = position < length, in1 = position + 1 < length;
      scores[g * kScoreStride + token] = in0 ? (even[0] + odd[0]) * scale : none;
      scores[g * kScoreStride + token + 1] = in1 ? (even[1] + odd[1]) * scale : none;
      scores[(g + 8) * kScoreStride + token] = in0 ? (even[2] + odd[2]) * scale : none;
      scores[(g + 8) * kScoreStride + token + 1] = in1 ? (even[3] + odd[3]) * scale : none;
    }
    __syncthreads();

    uint32_t p[4][4];
    {
      float2 s[2][8];
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float best = most[half];
#pragma unroll
        for (int j = 0; j < 8; ++j) {
          s[half][j] = *reinterpret_cast<const float2*>(scores + (g + 8 * half) * kScoreStride + j * 8 + t2);
          best = fmaxf(best, fmaxf(s[half][j].x, s[half][j].y));
        }
        best = fmaxf(best, __shfl_xor_sync(0xffffffffu, best, 1));
        best = fmaxf(best, __shfl_xor_sync(0xffffffffu, best, 2));
        const float shrink = exp2f(most[half] - best);
        most[half] = best;
        float sum = 0;
#pragma unroll
        for (int j = 0; j < 8; ++j) {
          s[half][j].x = exp2f(s[half][j].x - best);
          s[half][j].y = exp2f(s[half][j].y - best);
          sum += s[half][j].x + s[half][j].y;
        }
        total[half] = total[half] * shrink + sum;
#pragma unroll
        for (int n = 0; n < 8; ++n) sums[n][2 * half] *= shrink, sums[n][2 * half + 1] *= shrink;
      }
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        p[k][0] = pack<T>(s[0][2 * k].x, s[0][2 * k].y);
        p[k][1] = pack<T>(s[1][2 * k].x, s[1][2 * k].y);
        p[k][2] = pack<T>(s[0][2 * k + 1].x, s[0][2 * k + 1].y);
        p[k][3] = pack<T>(s[1][2 * k + 1].x, s[1][2 * k + 1].y);
      }
    }
    const uint32_t values = shared_address(stage) + static_cast<uint32_t>((lane % 16) * kStride + warp * 64 + lane / 16 * 8) * 2;
#pragma unroll
    for (int k = 0; k < 4; ++k)
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        uint32_t b[4];
        load_transposed(b, values + static_cast<uint32_t>(k * 16 * kStride + j * 16) * 2);
        multiply<T>(sums[2 * j], p[k], b[0], b[1]);
        multiply<T>(sums[2 * j + 1], p[k], b[2], b[3]);
      }

    const bool row_ends = at + 1 == row_tiles;
    if (row_ends || i + 1 == n_tiles) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float sum = total[half];
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        const int head = first_head + g + 8 * half;
        if (row_ends && segment_start == 0) {
          bf16* to = static_cast<bf16*>(out.data) + static_cast<uint64_t>(row) * out.stride + static_cast<uint64_t>(head) * kRank + warp * 64 + t2;
          const float inverse = 1.0f / sum;
#pragma unroll
          for (int n = 0; n < 8; ++n)
            *reinterpret_cast<uint32_t*>(to + n * 8) = pack<bf16>(sums[n][2 * half] * inverse, sums[n][2 * half + 1] * inverse);
        } else {
          const uint64_t entry = static_cast<uint64_t>(2 * part + (segment_start == 0 ? 1 : 0)) * static_cast<uint64_t>(n_heads) + static_cast<uint64_t>(head);
          float* to = partial + entry * kRank + warp * 64 + t2;
#pragma unroll
          for (int n = 0; n < 8; ++n) *reinterpret_cast<float2*>(to + n * 8) = make_float2(sums[n][2 * half], sums[n][2 * half + 1]);
          if (warp == 0 && t2 == 0) stats[2 * entry] = most[half], stats[2 * entry + 1] = sum;
        }
      }
    }
    if (row_ends) {
      ++row;
      at = segment_start = 0;
      fresh = true;
    } else {
      ++at;
    }
  }
}

// Rows that lie in several parts. Blocks (row, head); a thread takes four columns of a quarter of the parts.
constexpr int kMergeThreads = 512, kMergeGroups = 4;
__global__ void __launch_bounds__(kMergeThreads) merge_kernel(ponder_device_cache c, ponder_device_rows out, int n_heads, int n_parts,
                                                              const float* partial, const float* stats) {
  __shared__ int shared[66];
  __shared__ float4 sums[kMergeGroups][kRank / 4];
  __shared__ float weights[kMergeGroups];
  wait_for_previous();
  let_next_start();
  const int row = static_cast<int>(blockIdx.x), head = static_cast<int>(blockIdx.y);
  const Tiles tiles = count_tiles(c, row, shared);
  const int per_part = tiles_per_part(tiles.all, n_parts);
  const int first = tiles.before / per_part, last = (tiles.before + tiles_of(c, row) - 1) / per_part;
  if (first == last) return;
  const auto entry = [&](int part) {  // the first part ends within the row, the others began before it
    return static_cast<uint64_t>(part == first ? 2 * part + 1 : 2 * part) * static_cast<uint64_t>(n_heads) + static_cast<uint64_t>(head);
  };
  float most = __int_as_float(0xff800000);
  for (int part = first + static_cast<int>(threadIdx.x) % 32; part <= last; part += 32) most = fmaxf(most, stats[2 * entry(part)]);
  most = warp_max(most);
  const int group = static_cast<int>(threadIdx.x) / (kRank / 4), column = static_cast<int>(threadIdx.x) % (kRank / 4);
  float sum = 0;
  float4 values = {0, 0, 0, 0};
#pragma unroll 8
  for (int part = first + group; part <= last; part += kMergeGroups) {
    const float weight = exp2f(stats[2 * entry(part)] - most);
    sum += weight * stats[2 * entry(part) + 1];
    const float4 v = *reinterpret_cast<const float4*>(partial + entry(part) * kRank + column * 4);
    values.x += weight * v.x, values.y += weight * v.y, values.z += weight * v.z, values.w += weight * v.w;
  }
  sums[group][column] = values;
  if (column == 0) weights[group] = sum;
  __syncthreads();
  if (group != 0) return;
  for (int g = 1; g < kMergeGroups; ++g) {
    const float4 v = sums[g][column];
    values.x += v.x, values.y += v.y, values.z += v.z, values.w += v.w;
    sum += weights[g];
  }
  const float inverse = 1.0f / sum;
  bf16* to = static_cast<bf16*>(out.data) + static_cast<uint64_t>(row) * out.stride + static_cast<uint64_t>(head) * kRank + column * 4;
  *reinterpret_cast<uint2*>(to) = make_uint2(pack<bf16>(values.x * inverse, values.y * inverse), pack<bf16>(values.z * inverse, values.w * inverse));
}

}  // namespace

bool attend_latent(ponder_queue* queue, const ponder_device_cache* c, uint32_t n_heads, float scale, ponder_device_rows out, ponder_device_rows q) {
  const size_t bytes3 = 3 * kStageBytes + kScoreBytes, bytes2 = 2 * kStageBytes + kScoreBytes;
  if (c->type == PONDER_TYPE_F32 || n_heads % kHeads != 0 || c->block_tokens != kTokens || queue->device->shared_bytes < bytes2) return false;
  if (c->row_elements != kKey || out.stride % 8 != 0 || q.stride % 8 != 0) return false;
  const unsigned groups = n_heads / kHeads;
  const unsigned sms = static_cast<unsigned>(queue->device->n_sms), parts = sms > groups ? sms / groups : 1;
  auto* partial = static_cast<float*>(scratch(queue, 2, size_t{2} * parts * n_heads * kRank * sizeof(float)));
  auto* stats = static_cast<float*>(scratch(queue, 3, size_t{2} * parts * n_heads * 2 * sizeof(float)));
  if (!partial || !stats) return true;
  const bool three = queue->device->shared_bytes >= bytes3;
  const auto go = [&](auto kernel) {
    launch(queue, "attend_latent", kernel, dim3(parts, groups), dim3(kThreads), three ? bytes3 : bytes2, *c, out, q, static_cast<int>(n_heads),
           scale * kLog2E, partial, stats);
  };
  if (c->type == PONDER_TYPE_BF16) three ? go(attend_latent_kernel<bf16, 3>) : go(attend_latent_kernel<bf16, 2>);
  else three ? go(attend_latent_kernel<__half, 3>) : go(attend_latent_kernel<__half, 2>);
  launch(queue, "attend_latent", merge_kernel, dim3(static_cast<unsigned>(c->n_rows), n_heads), dim3(kMergeThreads), 0, *c, out, static_cast<int>(n_heads),
         static_cast<int>(parts), static_cast<const float*>(partial), static_cast<const float*>(stats));
  return true;
}

}  // namespace ponder::cuda
