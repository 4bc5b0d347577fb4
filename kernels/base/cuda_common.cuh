// What the CUDA sources share: the queue, launches, element types. Everything here is inside libponder-cuda.so.
#pragma once

#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "kernels/base/device_table.h"

struct ponder_device {
  int index = 0;
  int compute_capability = 0;  // 90
  int n_sms = 0;
  size_t shared_bytes = 0;     // of one block, opted in
  cudaStream_t stream = nullptr;  // of copies that belong to no queue
  void* tensor_map_encode = nullptr;  // cuTensorMapEncodeTiled, or null
};

struct ponder_queue {
  ponder_device* device = nullptr;
  cudaStream_t stream = nullptr;
  cudaError_t error = cudaSuccess;  // the first
  const char* what = "";            // what failed
  int cublas_error = 0;
  bool recording = false;
  uint64_t generation = 0;
  cublasLtHandle_t cublas = nullptr;
  void* cublas_workspace = nullptr;
  // Working memory of operations, by use; grows, then generation does too.
  static constexpr int kScratches = 6;
  void* scratch[kScratches] = {};
  size_t scratch_bytes[kScratches] = {};
  struct PlanCache* plans = nullptr;  // of cuBLASLt (matmul_cuda.cu)
};

namespace ponder::cuda {

using bf16 = __nv_bfloat16;

constexpr size_t kCublasWorkspace = size_t{64} << 20;

inline void note(ponder_queue* q, cudaError_t error, const char* what) {
  if (error == cudaSuccess || q->error != cudaSuccess) return;
  q->error = error;
  q->what = what;
}

// Memory of one operation, valid until the next that asks for the same slot. Null after a failure.
void* scratch(ponder_queue* q, int slot, size_t n_bytes);

// Launches; the next kernel of the queue may start before this one ends and waits for it in wait_for_previous().
template <class... Params, class... Args>
void launch(ponder_queue* q, const char* what, void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared_bytes, Args... args) {
  if (q->error != cudaSuccess || grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  if (shared_bytes > 48 * 1024)
    note(q, cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(shared_bytes)), what);
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = q->stream;
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  if (q->device->compute_capability >= 90) {
    config.attrs = &attribute;
    config.numAttrs = 1;
  }
  note(q, cudaLaunchKernelEx(&config, kernel, static_cast<Params>(args)...), what);
}

#ifdef __CUDACC__

// First thing of every kernel but for reads of weights: all results of kernels before it are there after it.
__device__ inline void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
#endif
}
// The next kernel may be put on SMs that have room.
__device__ inline void let_next_start() {
#if __CUDA_ARCH__ >= 900
  cudaTriggerProgrammaticLaunchCompletion();
#endif
}

template <class T>
__device__ inline float to_f32(T value) { return static_cast<float>(value); }
template <>
__device__ inline float to_f32<bf16>(bf16 value) { return __bfloat162float(value); }
template <>
__device__ inline float to_f32<__half>(__half value) { return __half2float(value); }
template <class T>
__device__ inline T from_f32(float value) { return static_cast<T>(value); }
template <>
__device__ inline bf16 from_f32<bf16>(float value) { return __float2bfloat16(value); }
template <>
__device__ inline __half from_f32<__half>(float value) { return __float2half(value); }

// Rows of activations, f32 or bf16.
__device__ inline float load(const ponder_device_rows& r, uint64_t row, uint64_t col) {
  const uint64_t at = row * r.stride + col;
  return r.type == PONDER_TYPE_F32 ? static_cast<const float*>(r.data)[at] : __bfloat162float(static_cast<const bf16*>(r.data)[at]);
}
__device__ inline void store(const ponder_device_rows& r, uint64_t row, uint64_t col, float value) {
  const uint64_t at = row * r.stride + col;
  if (r.type == PONDER_TYPE_F32) static_cast<float*>(r.data)[at] = value;
  else static_cast<bf16*>(r.data)[at] = __float2bfloat16(value);
}
// An element of a cache row.
__device__ inline float load_kv(uint32_t type, const void* row, uint32_t k) {
  if (type == PONDER_TYPE_F32) return static_cast<const float*>(row)[k];
  if (type == PONDER_TYPE_BF16) return __bfloat162float(static_cast<const bf16*>(row)[k]);
  return __half2float(static_cast<const __half*>(row)[k]);
}
__device__ inline void store_kv(uint32_t type, void* row, uint32_t k, float value) {
  if (type == PONDER_TYPE_F32) static_cast<float*>(row)[k] = value;
  else if (type == PONDER_TYPE_BF16) static_cast<bf16*>(row)[k] = __float2bfloat16(value);
  else static_cast<__half*>(row)[k] = __float2half(value);
}
__device__ inline char* cache_row(const ponder_device_cache& c, int sequence, int token) {
  char* block = static_cast<char*>(c.blocks[c.first_block[sequence] + token / static_cast<int>(c.block_tokens)]);
  const uint64_t row_bytes = c.row_elements * (c.type == PONDER_TYPE_F32 ? 4 : 2);
  return block + c.layer_bytes + static_cast<uint64_t>(token % static_cast<int>(c.block_tokens)) * row_bytes;
}

__device__ inline float warp_sum(float value) {
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(0xffffffffu, value, offset);
  return value;
}
__device__ inline float warp_max(float value) {
  for (int offset = 16; offset > 0; offset /= 2) value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, offset));
  return value;
}
// Of all threads of a block of whole warps; `shared` has 32 floats. The same bits for the same block size.
__device__ inline float block_sum(float value, float* shared) {
  value = warp_sum(value);
  __syncthreads();
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
  __syncthreads();
  float sum = 0;
  for (unsigned i = 0; i < (blockDim.x + 31) / 32; ++i) sum += shared[i];
  return sum;
}

__device__ inline float silu(float x) { return x / (1.0f + __expf(-x)); }
__device__ inline float silu_exact(float x) { return x / (1.0f + expf(-x)); }

#endif

// Gate and up as one matrix of twice the height, where each up lies behind its gate; n_out is 0 where they do not. Scales of fp8 come
// in blocks of 128 rows.
inline ponder_device_matrix gate_with_up(const ponder_device_matrix& gate, const ponder_device_matrix& up) {
  ponder_device_matrix both = gate;
  const bool behind = up.data == static_cast<const char*>(gate.data) + gate.n_out * gate.row_bytes && up.type == gate.type &&
                      gate.stack_bytes == 2 * gate.n_out * gate.row_bytes && gate.n_out % (gate.scale_inv ? 128 : 16) == 0;
  both.n_out = behind ? 2 * gate.n_out : 0;
  return both;
}
inline bool is_f32(const ponder_device_rows& r) { return r.type == PONDER_TYPE_F32; }
inline ponder_device_rows shift_cols(ponder_device_rows r, uint64_t col) {
  r.data = static_cast<char*>(r.data) + col * (is_f32(r) ? 4 : 2);
  return r;
}
inline unsigned blocks_for(uint64_t n, uint64_t per_block) { return static_cast<unsigned>((n + per_block - 1) / per_block); }

// ---- Operations and their parts, each in its own file ----

void embed(ponder_queue*, ponder_device_rows y, const ponder_device_matrix* w, const int32_t* ids, uint64_t n);
void rms_norm(ponder_queue*, ponder_device_rows y, ponder_device_rows y32, ponder_device_rows x, const float* weight, uint64_t n,
              uint64_t width, float eps);
void matmul(ponder_queue*, ponder_device_rows y, ponder_device_rows x, const ponder_device_matrix* w, const float* bias, uint64_t n,
            uint32_t accumulate);
void matmul_gated(ponder_queue*, ponder_device_rows y, ponder_device_rows x, const ponder_device_matrix* gate,
                  const ponder_device_matrix* up, uint64_t n);
void matmul_heads(ponder_queue*, ponder_device_rows y, uint64_t y_head, ponder_device_rows x, uint64_t x_head,
                  const ponder_device_matrix* w, uint32_t transposed, uint64_t n);
// Of a transposed one, the n_tail elements behind x[t, h] are to stand behind y[t, h]; false: they were not copied.
bool matmul_heads(ponder_queue*, ponder_device_rows y, uint64_t y_head, ponder_device_rows x, uint64_t x_head, const ponder_device_matrix* w,
                  uint32_t transposed, uint64_t n, uint32_t n_tail);
void angles(ponder_queue*, float* cos, float* sin, const int32_t* positions, const double* frequencies, double factor, uint64_t n,
            uint32_t half);
void gather(ponder_queue*, ponder_device_rows y, ponder_device_rows x, const int32_t* ids, uint64_t n, uint64_t width);
void convert(ponder_queue*, ponder_device_rows y, ponder_device_rows x, uint64_t n, uint64_t width);
void add(ponder_queue*, ponder_device_rows y, ponder_device_rows x, uint64_t n, uint64_t width);
void mla_store(ponder_queue*, const ponder_device_cache*, const ponder_device_heads*, ponder_device_rows q, ponder_device_rows kv,
               const float* kv_norm);
void gqa_store(ponder_queue*, const ponder_device_cache*, const ponder_device_heads*, ponder_device_rows q, ponder_device_rows kv);
void mla_attend(ponder_queue*, const ponder_device_cache*, const ponder_device_heads*, ponder_device_rows out, ponder_device_rows q,
                const ponder_device_matrix* kv_b);
void gqa_attend(ponder_queue*, const ponder_device_cache*, const ponder_device_heads*, ponder_device_rows out, ponder_device_rows q);
void route(ponder_queue*, const ponder_device_router*, ponder_device_rows scores, const float* bias, const ponder_device_slots*,
           uint64_t n);
void experts(ponder_queue*, ponder_device_rows out, ponder_device_rows x, const ponder_device_matrix* gate,
             const ponder_device_matrix* up, const ponder_device_matrix* down, const ponder_device_matrix* const* shared,
             const ponder_device_slots*, uint64_t n);
void matmul_grouped(ponder_queue*, ponder_device_rows y, ponder_device_rows x, const ponder_device_matrix* w, const ponder_device_slots*,
                    uint64_t n_slots, uint32_t sorted);
// y = silu(g) * u for g, u [n, width], side by side in x: columns [0, width) and [up_col, up_col + width).
void swiglu(ponder_queue*, ponder_device_rows y, ponder_device_rows x, uint64_t up_col, uint64_t n, uint64_t width);

// Rows of a grouped product: slots sorted by group. Group e's rows are [first[e], first[e + 1]) of y, and of x unless `order` is
// given: then row i of x is order[i] / per_row. Groups are the stacked matrices of w. Without `first`: one group of n rows.
struct Groups {
  const int32_t* first = nullptr;
  const int32_t* order = nullptr;
  uint32_t per_row = 1;
  uint32_t n_groups = 1;
  uint64_t n = 0;  // rows of all groups
};
// f32 arithmetic, weights read once for up to eight rows; the bits of a row of y depend on its x and w alone. up: y = silu(x W^T)
// * (x Up^T). (matvec_cuda.cu)
void matvec(ponder_queue*, ponder_device_rows y, ponder_device_rows x, const ponder_device_matrix& w, const ponder_device_matrix* up,
            const float* bias, uint32_t accumulate, uint64_t n);
void matvec_experts(ponder_queue*, ponder_device_rows out, ponder_device_rows x, const ponder_device_matrix& gate,
                    const ponder_device_matrix& up, const ponder_device_matrix& down, const ponder_device_matrix* const* shared,
                    const ponder_device_slots& slots, uint64_t n);
// Tensor cores by mma.sync, bf16 operands made of any type of weights. (matmul_mma_cuda.cu)
void matmul_mma(ponder_queue*, ponder_device_rows y, ponder_device_rows x, const ponder_device_matrix& w, const float* bias,
                uint32_t accumulate, const Groups&);
// Tensor cores of sm_90a by wgmma, bf16 or fp8 weights; false where it does not fit. y is bf16 or f32. (matmul_wgmma_cuda.cu)
bool matmul_wgmma(ponder_queue*, ponder_device_rows y, ponder_device_rows x, const ponder_device_matrix& w, uint32_t accumulate,
                  const Groups&);

// Attention of any shape and type, one block per row and head: f32, keys in order. (attend_rows_cuda.cu)
struct AttendShape {
  uint32_t n_heads, group, key_dims, value_dims;  // heads of one key head: group
  uint32_t key_step, value_base, value_step;      // elements in a cache row, by key head
  uint64_t q_head, out_head;                      // elements between heads
  float scale;
};
void attend_any(ponder_queue*, const ponder_device_cache*, const AttendShape&, ponder_device_rows out, ponder_device_rows q);
// Absorbed MLA of rank 512 and rope 64, f16 or bf16 caches, any lengths: queries [n, n_heads, 576] bf16, out [n, n_heads, 512] bf16.
// (attend_latent_cuda.cu)
bool attend_latent(ponder_queue*, const ponder_device_cache*, uint32_t n_heads, float scale, ponder_device_rows out, ponder_device_rows q);
// Keys and values of one sequence: row s of head h at key + s * stride + h * head (elements).
struct PrefillShape {
  uint32_t n_heads, group, key_dims, value_dims;
  uint64_t n_rows, n_keys;            // queries are the last n_rows of n_keys
  const void *keys, *key_tails, *values;  // key_tails: the last `tail` of the keys, shared by all heads; may be null
  uint64_t key_stride, key_head, tail_stride, value_stride, value_head;
  uint32_t tail;
  float scale;
};
// bf16; (key_dims, value_dims) one of (192, 128), (128, 128), (64, 64). false where it does not fit. (attend_prefill_cuda.cu)
bool attend_prefill(ponder_queue*, const PrefillShape&, ponder_device_rows out, uint64_t out_head, ponder_device_rows q, uint64_t q_head);

}  // namespace ponder::cuda
