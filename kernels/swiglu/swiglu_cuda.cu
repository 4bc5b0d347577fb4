// y = silu(gate) * up, gate and up side by side in rows of x.
#include "kernels/base/cuda_common.cuh"

namespace ponder::cuda {

namespace {

__global__ void swiglu_kernel(ponder_device_rows y, ponder_device_rows x, uint64_t up_col, uint64_t width) {
  wait_for_previous();
  let_next_start();
  const uint64_t t = blockIdx.x;
  if (y.type == PONDER_TYPE_BF16 && x.type == PONDER_TYPE_BF16 && width % 8 == 0 && up_col % 8 == 0 && y.stride % 8 == 0 && x.stride % 8 == 0) {
    const bf16* row = static_cast<const bf16*>(x.data) + t * x.stride;
    bf16* out = static_cast<bf16*>(y.data) + t * y.stride;
    for (uint64_t k = threadIdx.x * 8; k < width; k += blockDim.x * 8) {
      uint4 g = *reinterpret_cast<const uint4*>(row + k), u = *reinterpret_cast<const uint4*>(row + up_col + k);
      __nv_bfloat162 *gs = reinterpret_cast<__nv_bfloat162*>(&g), *us = reinterpret_cast<__nv_bfloat162*>(&u);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float2 a = __bfloat1622float2(gs[i]), b = __bfloat1622float2(us[i]);
        gs[i] = __floats2bfloat162_rn(silu(a.x) * b.x, silu(a.y) * b.y);
      }
      *reinterpret_cast<uint4*>(out + k) = g;
    }
    return;
  }
  for (uint64_t k = threadIdx.x; k < width; k += blockDim.x) store(y, t, k, silu_exact(load(x, t, k)) * load(x, t, up_col + k));
}

}  // namespace

void swiglu(ponder_queue* q, ponder_device_rows y, ponder_device_rows x, uint64_t up_col, uint64_t n, uint64_t width) {
  launch(q, "swiglu", swiglu_kernel, dim3(static_cast<unsigned>(n)), dim3(256), 0, y, x, up_col, width);
}

}  // namespace ponder::cuda
