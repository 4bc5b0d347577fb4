// libponder-onednn.so: matmul_bf16_fast by oneDNN's matmul primitive, 2.6 or 3.x. See kernels/base/onednn_module.h.
#include <omp.h>

#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include <oneapi/dnnl/dnnl.hpp>

#include "kernels/base/onednn_module.h"

namespace {

using dnnl::memory;

// One OpenMP thread for calls of this thread: ponder's pool splits the work.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

const dnnl::engine& cpu() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

std::uint16_t to_bf16(float value) {  // ties to even
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

dnnl::matmul::primitive_desc describe(const memory::desc& x, const memory::desc& w, const memory::desc& y) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
#if DNNL_VERSION_MAJOR >= 3
  return {cpu(), x, w, y, attr, true};
#else
  return {dnnl::matmul::desc(x, w, y), attr, cpu(), true};
#endif
}

int matmul_bf16(float* y, size_t y_stride, const float* x, size_t x_stride, const void* w, size_t w_stride_bytes,
                size_t n_tokens, size_t n_rows, size_t n_in) {
  try {
    if (n_tokens == 0 || n_rows == 0 || n_in == 0 || w_stride_bytes % 2 != 0) return 1;
    const OneThread one_thread;
    const auto dim = [](size_t n) { return static_cast<memory::dim>(n); };
    const memory::dims x_dims{dim(n_tokens), dim(n_in)}, w_dims{dim(n_in), dim(n_rows)}, y_dims{dim(n_tokens), dim(n_rows)};
    const memory::desc x_desc(x_dims, memory::data_type::bf16, memory::dims{dim(n_in), 1});
    const memory::desc w_desc(w_dims, memory::data_type::bf16, memory::dims{1, dim(w_stride_bytes / 2)});  // [N, K] in place
    const memory::desc y_desc(y_dims, memory::data_type::f32, memory::dims{dim(y_stride), 1});
    const auto primitive = describe(x_desc, w_desc, y_desc);
    if (!primitive || std::strstr(primitive.impl_info_str(), "ref")) return 1;
    std::vector<std::uint16_t> rounded(n_tokens * n_in);
    for (size_t t = 0; t < n_tokens; ++t)
      for (size_t k = 0; k < n_in; ++k) rounded[t * n_in + k] = to_bf16(x[t * x_stride + k]);
    const memory::desc scratch_desc = primitive.scratchpad_desc();
    std::vector<std::byte> scratch(scratch_desc.get_size() + 64);
    auto* aligned = reinterpret_cast<std::byte*>((reinterpret_cast<std::uintptr_t>(scratch.data()) + 63) / 64 * 64);
    dnnl::stream stream(cpu());
    dnnl::matmul(primitive).execute(stream, {{DNNL_ARG_SRC, memory(x_desc, cpu(), rounded.data())},
                                             {DNNL_ARG_WEIGHTS, memory(w_desc, cpu(), const_cast<void*>(w))},
                                             {DNNL_ARG_DST, memory(y_desc, cpu(), y)},
                                             {DNNL_ARG_SCRATCHPAD, memory(scratch_desc, cpu(), aligned)}});
    stream.wait();
    return 0;
  } catch (const std::exception&) {
    return 2;
  }
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const ponder_onednn_table* ponder_onednn_entry(uint32_t abi) {
  if (abi != PONDER_ONEDNN_ABI) return nullptr;
  try {
    static const std::string version = [] {
      const dnnl_version_t* v = dnnl_version();
      return std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
    }();
    static const ponder_onednn_table table{sizeof table, PONDER_ONEDNN_ABI, version.c_str(), matmul_bf16};
    (void)cpu();
    return &table;
  } catch (const std::exception&) {
    return nullptr;
  }
}
