// Rows of the embedding matrix, and rows copied, gathered, converted and added.
#include "kernels/base/cuda_weights.cuh"

namespace ponder::cuda {

namespace {

template <uint32_t Type>
__global__ void embed_kernel(ponder_device_rows y, ponder_device_matrix w, const int32_t* ids) {
  wait_for_previous();
  let_next_start();
  const uint64_t t = blockIdx.x, row = static_cast<uint64_t>(ids[t]);
  for (uint32_t k = threadIdx.x * 8; k < w.n_in; k += blockDim.x * 8) {
    float values[8];
    load8_or_0<Type>(values, matrix_row(w, 0, row), matrix_scales(w, 0, row), k, static_cast<uint32_t>(w.n_in));
    for (uint32_t i = 0; i < 8 && k + i < w.n_in; ++i) store(y, t, k + i, values[i]);
  }
}

__global__ void copy_kernel(ponder_device_rows y, ponder_device_rows x, const int32_t* ids, uint64_t width) {
  wait_for_previous();
  let_next_start();
  const uint64_t t = blockIdx.x, from = ids ? static_cast<uint64_t>(ids[t]) : t;
  for (uint64_t k = blockIdx.y * blockDim.x + threadIdx.x; k < width; k += static_cast<uint64_t>(gridDim.y) * blockDim.x)
    store(y, t, k, load(x, from, k));
}

__global__ void add_kernel(ponder_device_rows y, ponder_device_rows x, uint64_t width) {
  wait_for_previous();
  let_next_start();
  for (uint64_t k = threadIdx.x; k < width; k += blockDim.x) store(y, blockIdx.x, k, load(y, blockIdx.x, k) + load(x, blockIdx.x, k));
}

}  // namespace

void embed(ponder_queue* q, ponder_device_rows y, const ponder_device_matrix* w, const int32_t* ids, uint64_t n) {
  with_type(w->type, [&](auto type) {
    launch(q, "embed", embed_kernel<decltype(type)::value>, dim3(static_cast<unsigned>(n)), dim3(256), 0, y, *w, ids);
  });
}
void gather(ponder_queue* q, ponder_device_rows y, ponder_device_rows x, const int32_t* ids, uint64_t n, uint64_t width) {
  launch(q, "gather", copy_kernel, dim3(static_cast<unsigned>(n)), dim3(256), 0, y, x, ids, width);
}
void convert(ponder_queue* q, ponder_device_rows y, ponder_device_rows x, uint64_t n, uint64_t width) {
  launch(q, "convert", copy_kernel, dim3(static_cast<unsigned>(n)), dim3(256), 0, y, x, nullptr, width);
}
void add(ponder_queue* q, ponder_device_rows y, ponder_device_rows x, uint64_t n, uint64_t width) {
  launch(q, "add", add_kernel, dim3(static_cast<unsigned>(n)), dim3(256), 0, y, x, width);
}

}  // namespace ponder::cuda
