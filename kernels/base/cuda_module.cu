// libponder-cuda.so: devices, memory, queues, graphs, and the table of operations.
#include <cstdio>
#include <cstring>
#include <new>

#include "kernels/base/cuda_common.cuh"

namespace ponder::cuda {

void destroy_plans(ponder_queue* q);  // matmul_cuda.cu

namespace {

int code_of(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return PONDER_DEVICE_OK;
    case cudaErrorMemoryAllocation: return PONDER_DEVICE_NO_MEMORY;
    case cudaErrorInsufficientDriver: case cudaErrorNoDevice: case cudaErrorSystemDriverMismatch: case cudaErrorStubLibrary:
    case cudaErrorNoKernelImageForDevice: case cudaErrorUnsupportedPtxVersion: case cudaErrorInvalidDevice:
    case cudaErrorCompatNotSupportedOnDevice: case cudaErrorSystemNotReady: case cudaErrorInitializationError:
      return PONDER_DEVICE_UNSUPPORTED;
    case cudaErrorDevicesUnavailable: case cudaErrorIllegalAddress: case cudaErrorECCUncorrectable: case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction: case cudaErrorMisalignedAddress: case cudaErrorInvalidAddressSpace: case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure: case cudaErrorLaunchTimeout: case cudaErrorAssert: case cudaErrorNvlinkUncorrectable:
      return PONDER_DEVICE_LOST;
    default: return PONDER_DEVICE_FAILED;
  }
}

int report(ponder_device_error* to, cudaError_t error, const char* what) {
  const int code = code_of(error);
  if (code == PONDER_DEVICE_OK) return code;
  (void)cudaGetLastError();  // so that the next call does not find it
  to->code = code;
  std::snprintf(to->message, sizeof to->message, "%s: %s", what, cudaGetErrorString(error));
  return code;
}

int count(int* n, ponder_device_error* error) {
  *n = 0;
  int driver = 0, runtime = 0;
  if (const cudaError_t e = cudaDriverGetVersion(&driver); e != cudaSuccess) return report(error, e, "cudaDriverGetVersion");
  (void)cudaRuntimeGetVersion(&runtime);
  if (driver == 0 || driver / 1000 < runtime / 1000) {
    error->code = PONDER_DEVICE_UNSUPPORTED;
    if (driver == 0) std::snprintf(error->message, sizeof error->message, "no NVIDIA driver was found");
    else
      std::snprintf(error->message, sizeof error->message, "the driver is for CUDA %d.%d, this module wants %d.0 or later", driver / 1000,
                    driver % 1000 / 10, runtime / 1000);
    return PONDER_DEVICE_UNSUPPORTED;
  }
  return report(error, cudaGetDeviceCount(n), "cudaGetDeviceCount");
}

int open(int index, ponder_device** out, ponder_device_error* error) {
  auto* device = new (std::nothrow) ponder_device;
  if (!device) return report(error, cudaErrorMemoryAllocation, "a device");
  device->index = index;
  cudaDeviceProp properties{};
  cudaError_t e = cudaSetDevice(index);
  if (e == cudaSuccess) e = cudaGetDeviceProperties(&properties, index);
  if (e == cudaSuccess && properties.major < 8) e = cudaErrorNoKernelImageForDevice;
  if (e == cudaSuccess) e = cudaStreamCreateWithFlags(&device->stream, cudaStreamNonBlocking);
  if (e != cudaSuccess) {
    delete device;
    return report(error, e, properties.major > 0 && properties.major < 8 ? "compute capability below 8.0" : "opening the device");
  }
  device->compute_capability = 10 * properties.major + properties.minor;
  device->n_sms = properties.multiProcessorCount;
  device->shared_bytes = properties.sharedMemPerBlockOptin;
  cudaDriverEntryPointQueryResult found{};
  if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &device->tensor_map_encode, 12000, cudaEnableDefault, &found) != cudaSuccess ||
      found != cudaDriverEntryPointSuccess) {
    (void)cudaGetLastError();
    device->tensor_map_encode = nullptr;
  }
  *out = device;
  return PONDER_DEVICE_OK;
}

void close(ponder_device* device) {
  (void)cudaSetDevice(device->index);
  (void)cudaStreamDestroy(device->stream);
  delete device;
}

int info(ponder_device* device, ponder_device_info* out, ponder_device_error* error) {
  *out = {};
  cudaDeviceProp properties{};
  size_t free_bytes = 0, total_bytes = 0;
  int driver = 0;
  cudaError_t e = cudaSetDevice(device->index);
  if (e == cudaSuccess) e = cudaGetDeviceProperties(&properties, device->index);
  if (e == cudaSuccess) e = cudaMemGetInfo(&free_bytes, &total_bytes);
  if (e == cudaSuccess) e = cudaDriverGetVersion(&driver);
  if (e != cudaSuccess) return report(error, e, "asking the device");
  std::snprintf(out->name, sizeof out->name, "%.63s", properties.name);
  out->compute_capability = static_cast<uint32_t>(device->compute_capability);
  out->driver_version = static_cast<uint32_t>(driver);
  out->total_bytes = total_bytes;
  out->free_bytes = free_bytes;
  return PONDER_DEVICE_OK;
}

int allocate(ponder_device* device, size_t n, void** memory, ponder_device_error* error) {
  cudaError_t e = cudaSetDevice(device->index);
  if (e == cudaSuccess) e = cudaMalloc(memory, n);
  return report(error, e, "cudaMalloc");
}
void release(ponder_device* device, void* memory) {
  (void)cudaSetDevice(device->index);
  (void)cudaFree(memory);
}
int allocate_host(ponder_device* device, size_t n, void** memory, ponder_device_error* error) {
  cudaError_t e = cudaSetDevice(device->index);
  if (e == cudaSuccess) e = cudaHostAlloc(memory, n, cudaHostAllocDefault);
  return report(error, e, "cudaHostAlloc");
}
void release_host(ponder_device* device, void* memory) {
  (void)cudaSetDevice(device->index);
  (void)cudaFreeHost(memory);
}

int transfer(ponder_device* device, void* to, const void* from, size_t n, cudaMemcpyKind kind, ponder_device_error* error) {
  cudaError_t e = cudaSetDevice(device->index);
  if (e == cudaSuccess) e = cudaMemcpyAsync(to, from, n, kind, device->stream);
  if (e == cudaSuccess) e = cudaStreamSynchronize(device->stream);
  return report(error, e, "cudaMemcpy");
}
int upload(ponder_device* d, void* to, const void* from, size_t n, ponder_device_error* e) {
  return transfer(d, to, from, n, cudaMemcpyHostToDevice, e);
}
int download(ponder_device* d, void* to, const void* from, size_t n, ponder_device_error* e) {
  return transfer(d, to, from, n, cudaMemcpyDeviceToHost, e);
}
int copy(ponder_device* d, void* to, const void* from, size_t n, ponder_device_error* e) {
  return transfer(d, to, from, n, cudaMemcpyDeviceToDevice, e);
}

void queue_destroy(ponder_queue* q) {
  (void)cudaSetDevice(q->device->index);
  (void)cudaStreamSynchronize(q->stream);
  destroy_plans(q);
  if (q->cublas) (void)cublasLtDestroy(q->cublas);
  (void)cudaFree(q->cublas_workspace);
  for (void* memory : q->scratch) (void)cudaFree(memory);
  if (q->stream) (void)cudaStreamDestroy(q->stream);
  delete q;
}

int queue_create(ponder_device* device, ponder_queue** out, ponder_device_error* error) {
  auto* q = new (std::nothrow) ponder_queue;
  if (!q) return report(error, cudaErrorMemoryAllocation, "a queue");
  q->device = device;
  cudaError_t e = cudaSetDevice(device->index);
  if (e == cudaSuccess) e = cudaStreamCreateWithFlags(&q->stream, cudaStreamNonBlocking);
  if (e == cudaSuccess) e = cudaMalloc(&q->cublas_workspace, kCublasWorkspace);
  if (e == cudaSuccess && cublasLtCreate(&q->cublas) != CUBLAS_STATUS_SUCCESS) e = cudaErrorUnknown;
  if (e != cudaSuccess) {
    queue_destroy(q);
    return report(error, e, "a queue");
  }
  *out = q;
  return PONDER_DEVICE_OK;
}

int queue_wait(ponder_queue* q, ponder_device_error* error) {
  cudaError_t e = cudaSetDevice(q->device->index);
  if (e == cudaSuccess) e = cudaStreamSynchronize(q->stream);
  if (q->error != cudaSuccess) {
    const cudaError_t first = q->error;
    q->error = cudaSuccess;
    return report(error, first, q->what);
  }
  if (e == cudaSuccess && q->cublas_error != 0) {
    error->code = PONDER_DEVICE_FAILED;
    std::snprintf(error->message, sizeof error->message, "cuBLASLt: status %d", q->cublas_error);
    q->cublas_error = 0;
    return PONDER_DEVICE_FAILED;
  }
  return report(error, e, "a kernel");
}

void queue_upload(ponder_queue* q, void* to, const void* from, size_t n) {
  (void)cudaSetDevice(q->device->index);  // of the thread that goes on to enqueue operations
  note(q, cudaMemcpyAsync(to, from, n, cudaMemcpyHostToDevice, q->stream), "copy to the device");
}
void queue_download(ponder_queue* q, void* to, const void* from, size_t n) {
  note(q, cudaMemcpyAsync(to, from, n, cudaMemcpyDeviceToHost, q->stream), "copy from the device");
}

int graph_begin(ponder_queue* q) {
  if (q->error != cudaSuccess || cudaStreamBeginCapture(q->stream, cudaStreamCaptureModeThreadLocal) != cudaSuccess) {
    (void)cudaGetLastError();
    return 1;
  }
  q->recording = true;
  return 0;
}
void* graph_end(ponder_queue* q) {
  q->recording = false;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  cudaError_t e = cudaStreamEndCapture(q->stream, &graph);
  if (e == cudaSuccess) e = cudaGraphInstantiate(&exec, graph, 0);
  if (graph) (void)cudaGraphDestroy(graph);
  if (e != cudaSuccess || q->error != cudaSuccess) {  // then it runs unrecorded, and fails there if it must
    (void)cudaGetLastError();
    q->error = cudaSuccess;
    return nullptr;
  }
  return exec;
}
void graph_launch(ponder_queue* q, void* graph) { note(q, cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), q->stream), "a graph"); }
void graph_destroy(ponder_queue* q, void* graph) {
  (void)cudaSetDevice(q->device->index);
  (void)cudaStreamSynchronize(q->stream);
  (void)cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph));
}
uint64_t generation(ponder_queue* q) { return q->generation; }

int supports(ponder_device*, uint32_t type) {
  return type <= PONDER_TYPE_F8_E4M3 || type == PONDER_TYPE_Q4_0 || type == PONDER_TYPE_Q8_0 || type == PONDER_TYPE_Q4_K ||
         type == PONDER_TYPE_Q5_K || type == PONDER_TYPE_Q6_K;
}

}  // namespace

void* scratch(ponder_queue* q, int slot, size_t n_bytes) {
  if (q->error != cudaSuccess) return nullptr;
  if (n_bytes <= q->scratch_bytes[slot]) return q->scratch[slot];
  if (q->recording) {  // cannot grow now
    note(q, cudaErrorStreamCaptureUnsupported, "working memory within a recording");
    return nullptr;
  }
  note(q, cudaStreamSynchronize(q->stream), "a kernel");
  (void)cudaFree(q->scratch[slot]);
  q->scratch[slot] = nullptr;
  q->scratch_bytes[slot] = 0;
  ++q->generation;
  note(q, cudaMalloc(&q->scratch[slot], n_bytes), "working memory");
  if (q->error == cudaSuccess) q->scratch_bytes[slot] = n_bytes;
  return q->scratch[slot];
}

}  // namespace ponder::cuda

extern "C" __attribute__((visibility("default"))) const ponder_device_table* ponder_backend_entry(uint32_t abi) {
  namespace c = ponder::cuda;
  if (abi != PONDER_DEVICE_ABI) return nullptr;
  static const ponder_device_table table{
      sizeof table, PONDER_DEVICE_ABI, "cuda", c::count, c::open, c::close, c::info, c::allocate, c::release, c::allocate_host,
      c::release_host, c::upload, c::download, c::copy, c::queue_create, c::queue_destroy, c::queue_wait, c::queue_upload,
      c::queue_download, c::graph_begin, c::graph_end, c::graph_launch, c::graph_destroy, c::generation, c::supports, c::embed,
      c::rms_norm, c::matmul, c::matmul_gated, c::matmul_heads, c::angles, c::gather, c::convert, c::add, c::mla_store, c::gqa_store, c::mla_attend,
      c::gqa_attend, c::route, c::experts, c::matmul_grouped};
  return &table;
}
