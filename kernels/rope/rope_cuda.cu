// Rotation of queries in place, and keys and values into the cache: one block per row.
#include "kernels/base/cuda_common.cuh"

namespace ponder::cuda {

namespace {

// Elements [first, first + dims) of row t, pair i.
__device__ void rotate(const ponder_device_rows& x, uint64_t t, uint64_t first, uint32_t dims, uint32_t i, bool interleaved,
                       const float* cos, const float* sin, float& a, float& b) {
  const uint64_t at = first + (interleaved ? 2 * i : i), other = interleaved ? at + 1 : at + dims / 2;
  const float xa = load(x, t, at), xb = load(x, t, other);
  a = xa * cos[i] - xb * sin[i];
  b = xa * sin[i] + xb * cos[i];
}

__global__ void mla_store_kernel(ponder_device_cache c, ponder_device_heads h, ponder_device_rows q, ponder_device_rows kv,
                                 const float* norm) {
  __shared__ float sums[32];
  wait_for_previous();
  let_next_start();
  const uint64_t t = blockIdx.x;
  const uint32_t half = h.rope / 2;
  const float *cos = c.cos + t * half, *sin = c.sin + t * half;
  if (blockIdx.y > 0) {  // queries
    for (uint32_t i = (blockIdx.y - 1) * blockDim.x + threadIdx.x; i < h.n_heads * half; i += (gridDim.y - 1) * blockDim.x) {
      const uint64_t first = static_cast<uint64_t>(i / half) * (h.nope + h.rope) + h.nope;
      float a, b;
      rotate(q, t, first, h.rope, i % half, true, cos, sin, a, b);
      store(q, t, first + 2 * (i % half), a);
      store(q, t, first + 2 * (i % half) + 1, b);
    }
    return;
  }
  float square = 0;
  for (uint32_t k = threadIdx.x; k < h.rank; k += blockDim.x) {
    const float value = load(kv, t, k);
    square += value * value;
  }
  const float scale = 1.0f / sqrtf(block_sum(square, sums) / static_cast<float>(h.rank) + 1e-6f);
  char* row = cache_row(c, c.row_sequence[t], c.positions[t]);
  for (uint32_t k = threadIdx.x; k < h.rank; k += blockDim.x) store_kv(c.type, row, k, load(kv, t, k) * scale * norm[k]);
  for (uint32_t i = threadIdx.x; i < half; i += blockDim.x) {
    float a, b;
    rotate(kv, t, h.rank, h.rope, i, true, cos, sin, a, b);
    store_kv(c.type, row, h.rank + 2 * i, a);
    store_kv(c.type, row, h.rank + 2 * i + 1, b);
  }
}

__global__ void gqa_store_kernel(ponder_device_cache c, ponder_device_heads h, ponder_device_rows q, ponder_device_rows kv) {
  wait_for_previous();
  let_next_start();
  const uint64_t t = blockIdx.x;
  const uint32_t dim = h.rope, half = dim / 2;
  const float *cos = c.cos + t * half, *sin = c.sin + t * half;
  const bool interleaved = h.interleaved != 0;
  char* row = cache_row(c, c.row_sequence[t], c.positions[t]);
  for (uint32_t i = threadIdx.x; i < (h.n_heads + h.n_kv_heads) * half; i += blockDim.x) {
    const uint32_t head = i / half, pair = i % half;
    const bool key = head >= h.n_heads;
    const uint32_t first = (key ? head - h.n_heads : head) * dim;
    const uint32_t at = first + (interleaved ? 2 * pair : pair), other = interleaved ? at + 1 : at + half;
    float a, b;
    rotate(key ? kv : q, t, first, dim, pair, interleaved, cos, sin, a, b);
    if (key) {
      store_kv(c.type, row, at, a);
      store_kv(c.type, row, other, b);
    } else {
      store(q, t, at, a);
      store(q, t, other, b);
    }
  }
  const uint32_t width = h.n_kv_heads * dim;
  for (uint32_t k = threadIdx.x; k < width; k += blockDim.x) store_kv(c.type, row, width + k, load(kv, t, width + k));
}

__global__ void angles_kernel(float* cos_out, float* sin_out, const int32_t* positions, const double* frequencies, double factor, uint64_t n,
                              uint32_t half) {
  wait_for_previous();
  let_next_start();
  const uint64_t at = static_cast<uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= n * half) return;
  double s, c;
  sincos(static_cast<double>(positions[at / half]) * frequencies[at % half], &s, &c);
  cos_out[at] = static_cast<float>(c * factor);
  sin_out[at] = static_cast<float>(s * factor);
}

}  // namespace

void angles(ponder_queue* q, float* cos, float* sin, const int32_t* positions, const double* frequencies, double factor, uint64_t n,
            uint32_t half) {
  launch(q, "angles", angles_kernel, dim3(blocks_for(n * half, 128)), dim3(128), 0, cos, sin, positions, frequencies, factor, n, half);
}
void mla_store(ponder_queue* queue, const ponder_device_cache* c, const ponder_device_heads* h, ponder_device_rows q, ponder_device_rows kv,
               const float* kv_norm) {
  launch(queue, "mla_store", mla_store_kernel, dim3(static_cast<unsigned>(c->n_rows), 1 + blocks_for(h->n_heads * (h->rope / 2), 512)), dim3(256), 0, *c, *h, q, kv, kv_norm);
}
void gqa_store(ponder_queue* queue, const ponder_device_cache* c, const ponder_device_heads* h, ponder_device_rows q, ponder_device_rows kv) {
  launch(queue, "gqa_store", gqa_store_kernel, dim3(static_cast<unsigned>(c->n_rows)), dim3(256), 0, *c, *h, q, kv);
}

}  // namespace ponder::cuda
