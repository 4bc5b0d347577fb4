// Tiles of grouped products: rows sorted by group, tiles of kRows rows that lie in one group each.
#pragma once

#include "kernels/base/cuda_common.cuh"

namespace ponder::cuda {

struct GroupTile {
  int group = -1;  // -1: there are fewer tiles
  int first_row = 0, n_rows = 0;
};

inline unsigned most_group_tiles(const Groups& g, unsigned rows) {
  const uint64_t whole = (g.n + rows - 1) / rows;
  return static_cast<unsigned>(g.first ? whole + (g.n_groups < g.n ? g.n_groups : g.n) : whole);
}

// Tile `tile` of all; every thread of the block must call it. `shared` has 36 ints.
__device__ inline GroupTile find_group_tile(const Groups& g, int rows, int tile, int* shared) {
  if (!g.first) {
    const int first = tile * rows;
    if (first >= static_cast<int>(g.n)) return {};
    return {0, first, min(rows, static_cast<int>(g.n) - first)};
  }
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, n_warps = (blockDim.x + 31) / 32;
  if (threadIdx.x == 0) shared[32] = -1, shared[35] = 0;
  __syncthreads();
  for (int base = 0; base < static_cast<int>(g.n_groups); base += static_cast<int>(blockDim.x)) {
    const int e = base + static_cast<int>(threadIdx.x);
    int first = 0, end = 0;
    if (e < static_cast<int>(g.n_groups)) first = g.first[e], end = g.first[e + 1];
    const int tiles = (end - first + rows - 1) / rows;
    int sum = tiles;
    for (int offset = 1; offset < 32; offset *= 2) {
      const int below = __shfl_up_sync(0xffffffffu, sum, offset);
      if (lane >= offset) sum += below;
    }
    if (lane == 31) shared[warp] = sum;
    __syncthreads();
    int before = shared[35];
    for (int i = 0; i < warp; ++i) before += shared[i];
    const int at = tile - (before + sum - tiles);
    if (tiles > 0 && at >= 0 && at < tiles) {
      shared[32] = e;
      shared[33] = first + at * rows;
      shared[34] = min(rows, end - first - at * rows);
    }
    __syncthreads();
    if (threadIdx.x == 0)
      for (int i = 0; i < n_warps; ++i) shared[35] += shared[i];
    __syncthreads();
  }
  const GroupTile found{shared[32], shared[33], shared[34]};
  __syncthreads();
  return found;
}

// Row of x that row `i` of the sorted rows stands for.
__device__ inline uint64_t group_source(const Groups& g, int i) {
  return g.order ? static_cast<uint64_t>(static_cast<uint32_t>(g.order[i]) / g.per_row) : static_cast<uint64_t>(i);
}

}  // namespace ponder::cuda
