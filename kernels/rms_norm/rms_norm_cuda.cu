// RMSNorm (kernels/rms_norm/rms_norm.h) of one row per block; sums in f32, in an order that depends on the width alone.
#include "kernels/base/cuda_common.cuh"

namespace ponder::cuda {

namespace {

constexpr int kThreads = 512;
constexpr int kHeld = 4;  // groups of 4 values that a thread keeps: rows up to 8192

__global__ void __launch_bounds__(kThreads) rms_norm_kernel(ponder_device_rows y, ponder_device_rows y32, ponder_device_rows x,
                                                            const float* weight, uint32_t width, float eps) {
  __shared__ float sums[32];
  wait_for_previous();
  let_next_start();
  const uint64_t t = blockIdx.x;
  if (x.type == PONDER_TYPE_F32 && width % 4 == 0 && width <= kThreads * 4 * kHeld) {
    float4 held[kHeld];
    float square = 0;
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      const uint32_t k = (i * kThreads + threadIdx.x) * 4;
      if (k >= width) break;
      held[i] = *reinterpret_cast<const float4*>(static_cast<const float*>(x.data) + t * x.stride + k);
      square += held[i].x * held[i].x + held[i].y * held[i].y + held[i].z * held[i].z + held[i].w * held[i].w;
    }
    const float scale = 1.0f / sqrtf(block_sum(square, sums) / static_cast<float>(width) + eps);
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      const uint32_t k = (i * kThreads + threadIdx.x) * 4;
      if (k >= width) break;
      const float4 w = *reinterpret_cast<const float4*>(weight + k);
      const float4 v = {held[i].x * scale * w.x, held[i].y * scale * w.y, held[i].z * scale * w.z, held[i].w * scale * w.w};
      if (y.type == PONDER_TYPE_F32) {
        *reinterpret_cast<float4*>(static_cast<float*>(y.data) + t * y.stride + k) = v;
      } else {
        __nv_bfloat162 pairs[2] = {__floats2bfloat162_rn(v.x, v.y), __floats2bfloat162_rn(v.z, v.w)};
        *reinterpret_cast<uint2*>(static_cast<bf16*>(y.data) + t * y.stride + k) = *reinterpret_cast<uint2*>(pairs);
      }
      if (y32.data) *reinterpret_cast<float4*>(static_cast<float*>(y32.data) + t * y32.stride + k) = v;
    }
    return;
  }
  float square = 0;
  for (uint32_t k = threadIdx.x; k < width; k += kThreads) {
    const float value = load(x, t, k);
    square += value * value;
  }
  const float scale = 1.0f / sqrtf(block_sum(square, sums) / static_cast<float>(width) + eps);
  for (uint32_t k = threadIdx.x; k < width; k += kThreads) {
    const float value = load(x, t, k) * scale * weight[k];
    store(y, t, k, value);
    if (y32.data) store(y32, t, k, value);
  }
}

}  // namespace

void rms_norm(ponder_queue* q, ponder_device_rows y, ponder_device_rows y32, ponder_device_rows x, const float* weight, uint64_t n,
              uint64_t width, float eps) {
  launch(q, "rms_norm", rms_norm_kernel, dim3(static_cast<unsigned>(n)), dim3(kThreads), 0, y, y32, x, weight, static_cast<uint32_t>(width), eps);
}

}  // namespace ponder::cuda
