// Which kernel multiplies: f32 rows and few rows go to matvec, bf16 weights to cuBLASLt, fp8 weights to wgmma where it fits, and
// everything else to mma.sync. Products by heads, and cuBLASLt's plans.
#include <map>
#include <new>
#include <tuple>

#include "kernels/base/cuda_weights.cuh"

struct PlanKey {
  uint64_t m, n, k, lda, ldb, ldc, stride_a, stride_b, stride_c;
  uint32_t batch;
  bool transposed_a, f32_out, f32_in;
  auto tuple() const { return std::tie(m, n, k, lda, ldb, ldc, stride_a, stride_b, stride_c, batch, transposed_a, f32_out, f32_in); }
  bool operator<(const PlanKey& other) const { return tuple() < other.tuple(); }
};
struct Plan {
  cublasLtMatmulDesc_t desc = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
  cublasLtMatmulAlgo_t algo{};
  bool usable = false;
};
struct PlanCache {
  std::map<PlanKey, Plan> plans;
};

namespace ponder::cuda {

void destroy_plans(ponder_queue* q) {
  if (!q->plans) return;
  for (auto& [key, plan] : q->plans->plans) {
    if (plan.a) (void)cublasLtMatrixLayoutDestroy(plan.a);
    if (plan.b) (void)cublasLtMatrixLayoutDestroy(plan.b);
    if (plan.c) (void)cublasLtMatrixLayoutDestroy(plan.c);
    if (plan.desc) (void)cublasLtMatmulDescDestroy(plan.desc);
  }
  delete q->plans;
  q->plans = nullptr;
}

namespace {

constexpr uint64_t kFewRows = 4;  // matvec reads the weights once, at full speed

bool aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

void make_plan(ponder_queue* q, const PlanKey& key, Plan& plan) {
  const auto layout = [&](cublasLtMatrixLayout_t& to, cudaDataType type, uint64_t rows, uint64_t cols, uint64_t ld, uint64_t stride) {
    if (cublasLtMatrixLayoutCreate(&to, type, rows, cols, static_cast<int64_t>(ld)) != CUBLAS_STATUS_SUCCESS) return false;
    if (key.batch == 1) return true;
    const int32_t batch = static_cast<int32_t>(key.batch);
    const int64_t offset = static_cast<int64_t>(stride);
    return cublasLtMatrixLayoutSetAttribute(to, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof batch) == CUBLAS_STATUS_SUCCESS &&
           cublasLtMatrixLayoutSetAttribute(to, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &offset, sizeof offset) == CUBLAS_STATUS_SUCCESS;
  };
  if (cublasLtMatmulDescCreate(&plan.desc, CUBLAS_COMPUTE_32F, CUDA_R_32F) != CUBLAS_STATUS_SUCCESS) return;
  const cublasOperation_t op = key.transposed_a ? CUBLAS_OP_T : CUBLAS_OP_N;
  if (cublasLtMatmulDescSetAttribute(plan.desc, CUBLASLT_MATMUL_DESC_TRANSA, &op, sizeof op) != CUBLAS_STATUS_SUCCESS) return;
  if (!layout(plan.a, key.f32_in ? CUDA_R_32F : CUDA_R_16BF, key.transposed_a ? key.k : key.m, key.transposed_a ? key.m : key.k, key.lda, key.stride_a) ||
      !layout(plan.b, key.f32_in ? CUDA_R_32F : CUDA_R_16BF, key.k, key.n, key.ldb, key.stride_b) ||
      !layout(plan.c, key.f32_out ? CUDA_R_32F : CUDA_R_16BF, key.m, key.n, key.ldc, key.stride_c))
    return;
  cublasLtMatmulPreference_t preference = nullptr;
  if (cublasLtMatmulPreferenceCreate(&preference) != CUBLAS_STATUS_SUCCESS) return;
  const size_t workspace = kCublasWorkspace;
  const uint32_t alignment = 16;
  (void)cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace);
  for (const auto attribute : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                               CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    (void)cublasLtMatmulPreferenceSetAttribute(preference, attribute, &alignment, sizeof alignment);
  cublasLtMatmulHeuristicResult_t result{};
  int n_results = 0;
  if (cublasLtMatmulAlgoGetHeuristic(q->cublas, plan.desc, plan.a, plan.b, plan.c, plan.c, preference, 1, &result, &n_results) ==
          CUBLAS_STATUS_SUCCESS && n_results > 0 && result.state == CUBLAS_STATUS_SUCCESS) {
    plan.algo = result.algo;
    plan.usable = true;
  }
  (void)cublasLtMatmulPreferenceDestroy(preference);
}

// C [m, n] (+)= op(A) B, column-major; false where cuBLASLt has nothing for it.
bool multiply(ponder_queue* q, const PlanKey& key, const void* a, const void* b, void* c, bool accumulate) {
  if (q->error != cudaSuccess) return true;
  if (!q->plans) q->plans = new (std::nothrow) PlanCache;
  if (!q->plans) return false;
  auto [at, is_new] = q->plans->plans.try_emplace(key);
  if (is_new) make_plan(q, key, at->second);
  const Plan& plan = at->second;
  if (!plan.usable) return false;
  const float alpha = 1, beta = accumulate ? 1 : 0;
  const cublasStatus_t status = cublasLtMatmul(q->cublas, plan.desc, &alpha, a, plan.a, b, plan.b, &beta, c, plan.c, c, plan.c, &plan.algo,
                                               q->cublas_workspace, kCublasWorkspace, q->stream);
  if (status != CUBLAS_STATUS_SUCCESS && q->cublas_error == 0) q->cublas_error = static_cast<int>(status);
  return true;
}

bool cublas_matmul(ponder_queue* q, const ponder_device_rows& y, const ponder_device_rows& x, const ponder_device_matrix& w, uint64_t n,
                   bool accumulate) {
  if (w.type != PONDER_TYPE_BF16 || !aligned(y.data) || !aligned(x.data) || !aligned(w.data) || x.stride % 8 != 0 || y.stride % 8 != 0)
    return false;
  const PlanKey key{w.n_out, n, w.n_in, w.row_bytes / 2, x.stride, y.stride, 0, 0, 0, 1, true, is_f32(y), false};
  return multiply(q, key, w.data, x.data, y.data, accumulate);
}

__global__ void add_bias_kernel(ponder_device_rows y, const float* bias, uint64_t width) {
  wait_for_previous();
  let_next_start();
  for (uint64_t k = threadIdx.x; k < width; k += blockDim.x) store(y, blockIdx.x, k, load(y, blockIdx.x, k) + bias[k]);
}

constexpr int kWarps = 8;

// y[t, h, o] = x[t, h] . W_h[o]: a warp per output. Blocks (row, outputs, head).
template <uint32_t Type>
__global__ void heads_kernel(ponder_device_rows y, uint64_t y_head, ponder_device_rows x, uint64_t x_head, ponder_device_matrix w) {
  wait_for_previous();
  let_next_start();
  const int lane = threadIdx.x % 32;
  const uint64_t t = blockIdx.x, h = blockIdx.z, out = static_cast<uint64_t>(blockIdx.y) * kWarps + threadIdx.x / 32;
  if (out >= w.n_out) return;
  float sum = 0;
  for (uint32_t k = static_cast<uint32_t>(lane) * 8; k < w.n_in; k += 256) {
    float v[8];
    load8_or_0<Type>(v, matrix_row(w, h, out), nullptr, k, static_cast<uint32_t>(w.n_in));
    for (uint32_t i = 0; i < 8 && k + i < w.n_in; ++i) sum = fmaf(load(x, t, h * x_head + k + i), v[i], sum);
  }
  sum = warp_sum(sum);
  if (lane == 0) store(y, t, h * y_head + out, sum);
}

// y[t, h, k] = sum over o of x[t, h, o] W_h[o, k]: a thread takes 8 columns of a 32nd of the rows. Blocks (row, head, 64 columns), and
// one more where the n_tail elements behind x[t, h] are copied behind y[t, h].
constexpr int kParts = 32, kColumnThreads = 8;
template <uint32_t Type>
__global__ void __launch_bounds__(kParts * kColumnThreads) heads_transposed_kernel(ponder_device_rows y, uint64_t y_head, ponder_device_rows x,
                                                                                   uint64_t x_head, ponder_device_matrix w, uint32_t n_tail) {
  __shared__ float parts[kParts][kColumnThreads * 8];
  wait_for_previous();
  let_next_start();
  const uint64_t t = blockIdx.x, h = blockIdx.y;
  if (n_tail > 0 && blockIdx.z + 1 == gridDim.z) {
    for (uint32_t i = threadIdx.x; i < n_tail; i += blockDim.x) store(y, t, h * y_head + w.n_in + i, load(x, t, h * x_head + w.n_out + i));
    return;
  }
  const int part = threadIdx.x / kColumnThreads, column = threadIdx.x % kColumnThreads;
  const uint32_t n_in = static_cast<uint32_t>(w.n_in), n_out = static_cast<uint32_t>(w.n_out), base = blockIdx.z * kColumnThreads * 8;
  const uint32_t k = base + static_cast<uint32_t>(column) * 8;
  float sums[8] = {};
  if (k < n_in)
#pragma unroll 4
    for (uint32_t o = static_cast<uint32_t>(part); o < n_out; o += kParts) {
      float v[8];
      load8_or_0<Type>(v, matrix_row(w, h, o), nullptr, k, n_in);
      const float a = load(x, t, h * x_head + o);
#pragma unroll
      for (int i = 0; i < 8; ++i) sums[i] = fmaf(a, v[i], sums[i]);
    }
#pragma unroll
  for (int i = 0; i < 8; ++i) parts[part][column * 8 + i] = sums[i];
  __syncthreads();
  const uint32_t i = threadIdx.x;
  if (i >= kColumnThreads * 8 || base + i >= n_in) return;
  float sum = 0;
#pragma unroll
  for (int p = 0; p < kParts; ++p) sum += parts[p][i];
  store(y, t, h * y_head + base + i, sum);
}

}  // namespace

void matmul(ponder_queue* q, ponder_device_rows y, ponder_device_rows x, const ponder_device_matrix* w, const float* bias, uint64_t n,
            uint32_t flags) {
  const uint32_t accumulate = flags & PONDER_MATMUL_ACCUMULATE;
  if (is_f32(x) && is_f32(y) && (flags & PONDER_MATMUL_QUICK) && n > kFewRows && w->type == PONDER_TYPE_F32 && !bias && aligned(x.data) &&
      aligned(y.data) && x.stride % 4 == 0 && y.stride % 4 == 0) {
    const PlanKey key{w->n_out, n, w->n_in, w->row_bytes / 4, x.stride, y.stride, 0, 0, 0, 1, true, true, true};
    if (multiply(q, key, w->data, x.data, y.data, accumulate != 0)) return;
  }
  if (is_f32(x) || n <= kFewRows) return matvec(q, y, x, *w, nullptr, bias, accumulate, n);
  Groups all;
  all.n = n;
  if (cublas_matmul(q, y, x, *w, n, accumulate != 0) || (n > 16 && matmul_wgmma(q, y, x, *w, accumulate, all))) {
    if (bias) launch(q, "bias", add_bias_kernel, dim3(static_cast<unsigned>(n)), dim3(256), 0, y, bias, w->n_out);
    return;
  }
  matmul_mma(q, y, x, *w, bias, accumulate, all);
}

void matmul_gated(ponder_queue* q, ponder_device_rows y, ponder_device_rows x, const ponder_device_matrix* gate,
                  const ponder_device_matrix* up, uint64_t n) {
  if ((is_f32(x) || n <= kFewRows) && gate->type == up->type) return matvec(q, y, x, *gate, up, nullptr, 0, n);
  const uint64_t width = (gate->n_out + 15) / 16 * 16;
  const ponder_device_rows both{scratch(q, 1, n * 2 * width * (is_f32(x) ? 4 : 2)), 2 * width, x.type};
  if (!both.data) return;
  const ponder_device_matrix joint = gate_with_up(*gate, *up);
  if (joint.n_out > 0) {
    matmul(q, both, x, &joint, nullptr, n, 0);
  } else {
    matmul(q, both, x, gate, nullptr, n, 0);
    matmul(q, shift_cols(both, width), x, up, nullptr, n, 0);
  }
  swiglu(q, y, both, width, n, gate->n_out);
}

void matmul_heads(ponder_queue* q, ponder_device_rows y, uint64_t y_head, ponder_device_rows x, uint64_t x_head,
                  const ponder_device_matrix* w, uint32_t transposed, uint64_t n) {
  matmul_heads(q, y, y_head, x, x_head, w, transposed, n, 0);
}

bool matmul_heads(ponder_queue* q, ponder_device_rows y, uint64_t y_head, ponder_device_rows x, uint64_t x_head, const ponder_device_matrix* w,
                  uint32_t transposed, uint64_t n, uint32_t n_tail) {
  if (!is_f32(x) && !is_f32(y) && n > 8 && w->type == PONDER_TYPE_BF16 && aligned(y.data) && aligned(x.data) && aligned(w->data) &&
      x.stride % 8 == 0 && y.stride % 8 == 0 && x_head % 8 == 0 && y_head % 8 == 0) {
    const PlanKey key{transposed ? w->n_in : w->n_out, n, transposed ? w->n_out : w->n_in, w->row_bytes / 2, x.stride, y.stride,
                      w->stack_bytes / 2, x_head, y_head, static_cast<uint32_t>(w->n_stacked), transposed == 0, false, false};
    if (multiply(q, key, w->data, x.data, y.data, false)) return n_tail == 0;
  }
  const unsigned heads = static_cast<unsigned>(w->n_stacked), rows = static_cast<unsigned>(n);
  with_type(w->type, [&](auto type) {
    if constexpr (decltype(type)::value <= PONDER_TYPE_BF16) {
      if (transposed)
        launch(q, "heads", heads_transposed_kernel<decltype(type)::value>, dim3(rows, heads, blocks_for(w->n_in, kColumnThreads * 8) + (n_tail > 0 ? 1 : 0)),
               dim3(kParts * kColumnThreads), 0, y, y_head, x, x_head, *w, n_tail);
      else
        launch(q, "heads", heads_kernel<decltype(type)::value>, dim3(rows, blocks_for(w->n_out, kWarps), heads), dim3(32 * kWarps), 0, y,
               y_head, x, x_head, *w);
    }
  });
  return true;
}

}  // namespace ponder::cuda
